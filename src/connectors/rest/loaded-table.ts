import { JsonFields } from '../../formats/json/json-fields.ts';
import { integerValue, isPlainString } from '../../formats/json/lossless-json.ts';
import { isSecretKey, rememberIssuedSecret } from '../../secrets.ts';
import { etagOf, type TableState } from './fingerprint.ts';
import type { JsonAnswer } from './http-client.ts';
import { parsedAnswer } from './malformed-answer.ts';

/** Storage properties that hold for paths with a prefix. */
export interface VendedForPrefix {
  prefix: string;
  config: Readonly<Record<string, string>>;
}

/** The answer to loadTable (`LoadTableResult`). */
export interface LoadedTable {
  state: TableState;
  /** Absent for a table that is not committed yet. */
  metadataLocation?: string;
  location: string;
  metadata: Record<string, unknown>;
  config: Readonly<Record<string, string>>;
  credentials: VendedForPrefix[];
  /** Of the answer. */
  bytes: number;
}

/** @throws CodedError `DATA_LOSS` that names the URL and the field */
export function loadedTable(url: string, { json, headers, bytes }: JsonAnswer): LoadedTable {
  return parsed(url, () => {
    const fields = answerFields(json);
    const metadata = fields.object('metadata');
    const metadataLocation = fields.optionalString('metadata-location');
    return {
      state: { metadata: metadataLocation ?? uncommitted(metadata), etag: etagOf(headers) },
      metadataLocation,
      location: metadata.string('location'),
      metadata: withoutDanglingRefs(metadata),
      config: storageConfig(fields, 'config'),
      credentials: vendedIn(fields),
      bytes,
    };
  });
}

/** Only what tells another state of the table. */
export function tableState(url: string, { json, headers }: JsonAnswer): TableState {
  return parsed(url, () => {
    const fields = answerFields(json);
    const metadata = fields.optionalString('metadata-location') ?? uncommitted(fields.object('metadata'));
    return { metadata, etag: etagOf(headers) };
  });
}

/** The answer of the credentials endpoint (`LoadCredentialsResponse`). */
export function loadedCredentials(url: string, { json }: JsonAnswer): VendedForPrefix[] {
  return parsed(url, () => vendedIn(answerFields(json)));
}

function parsed<T>(url: string, parse: () => T): T {
  return parsedAnswer(url, 'the OpenAPI says', 'DATA_LOSS', parse);
}

/** Answers hold vended credentials, and a malformed one holds them where nobody looks for them. */
function answerFields(json: unknown): JsonFields {
  return new JsonFields(json, '', 'withheld');
}

/** Every change of a table changes the time, and almost always one of the others. */
function uncommitted(metadata: JsonFields): string {
  const { raw } = metadata;
  const parts = [raw['table-uuid'], raw['last-updated-ms'], raw['last-sequence-number'], raw['current-snapshot-id']];
  return `uncommitted:${parts.map((part) => integerValue(part) ?? part ?? '').join(':')}`;
}

/** Catalogs may leave snapshots out and keep the refs to them. What the answer does not have, the table does not have. */
function withoutDanglingRefs(metadata: JsonFields): Record<string, unknown> {
  if (!metadata.has('refs')) return { ...metadata.raw };
  const ids = new Set(metadata.objects('snapshots').map((snapshot) => snapshot.long('snapshot-id')));
  const refs = metadata.entries('refs').filter(([, ref]) => ids.has(ref.long('snapshot-id')));
  return { ...metadata.raw, refs: Object.fromEntries(refs.map(([name, ref]) => [name, ref.raw])) };
}

function vendedIn(fields: JsonFields): VendedForPrefix[] {
  return fields
    .objects('storage-credentials')
    .map((entry) => ({ prefix: entry.string('prefix'), config: storageConfig(entry, 'config') }));
}

/** Some catalogs write times and switches as numbers and booleans. */
function storageConfig(fields: JsonFields, name: string): Record<string, string> {
  if (!fields.has(name)) return {};
  const config: Record<string, string> = Object.create(null);
  for (const [key, value] of Object.entries(fields.object(name).raw)) {
    const integer = integerValue(value);
    if (isPlainString(value)) config[key] = value;
    else if (integer !== undefined || typeof value === 'boolean') config[key] = String(integer ?? value);
    if (isSecretKey(key) && config[key]) rememberIssuedSecret(config[key]);
  }
  return config;
}
