import { JsonFields } from '../../formats/json/json-fields.ts';
import { integerValue, isPlainString } from '../../formats/json/lossless-json.ts';
import { isPlainSecret, rememberIssuedSecret } from '../../secrets.ts';
import type { ReservedMemory } from '../../storage/memory-budget.ts';
import { etagOf, type TableState } from './fingerprint.ts';
import type { JsonResponse } from './http-client.ts';
import { parseResponse } from './parse-response.ts';

/** Vended storage properties for the paths with a prefix. */
export interface VendedCredential {
  prefix: string;
  config: Readonly<Record<string, string>>;
}

/** The response to loadTable (`LoadTableResult`). */
export interface LoadedTable {
  state: TableState;
  /** Absent for a table that has not been committed yet. */
  metadataLocation?: string;
  location: string;
  /** For `openIcebergTable`. */
  metadata: unknown;
  config: Readonly<Record<string, string>>;
  credentials: VendedCredential[];
  /** Length of the response's body. */
  bytes: number;
  /** What the response takes, if it is large. */
  memory?: ReservedMemory;
}

/** What is kept of the response while the table is read. */
export type TableAccess = Omit<LoadedTable, 'metadata' | 'memory'>;

/**
 * Parses the response to loadTable.
 *
 * @throws CodedError `DATA_LOSS` that names the URL and the field
 */
export function loadedTable(url: string, { json, headers, bytes, memory }: JsonResponse): LoadedTable {
  return parseLoadTable(url, () => {
    const fields = responseFields(json);
    const metadata = fields.object('metadata');
    const metadataLocation = fields.optionalString('metadata-location');
    return {
      state: { metadata: metadataLocation ?? uncommittedState(metadata), etag: etagOf(headers) },
      metadataLocation,
      location: metadata.string('location'),
      metadata: fields.value('metadata'),
      config: storageConfig(fields, 'config'),
      credentials: vendedCredentials(fields),
      bytes,
      memory,
    };
  });
}

/** Parses only the part of the response to loadTable that identifies the table's state. Throws as `loadedTable` does. */
export function tableState(url: string, { json, headers }: JsonResponse): TableState {
  return parseLoadTable(url, () => {
    const fields = responseFields(json);
    const metadata = fields.optionalString('metadata-location') ?? uncommittedState(fields.object('metadata'));
    return { metadata, etag: etagOf(headers) };
  });
}

/** Parses the response of the credentials endpoint (`LoadCredentialsResponse`). Throws as `loadedTable` does. */
export function loadedCredentials(url: string, { json }: JsonResponse): VendedCredential[] {
  return parseLoadTable(url, () => vendedCredentials(responseFields(json)));
}

function parseLoadTable<T>(url: string, parse: () => T): T {
  return parseResponse(`GET ${url}`, 'a table as in the OpenAPI', 'DATA_LOSS', parse);
}

/** Values are withheld from errors, because a malformed response may contain vended credentials in any field. */
function responseFields(json: unknown): JsonFields {
  return new JsonFields(json, '', 'withheld');
}

/** Identifies the state of a table without a metadata file. Every commit changes the time, and almost always another part. */
function uncommittedState(metadata: JsonFields): string {
  const names = ['table-uuid', 'last-updated-ms', 'last-sequence-number', 'current-snapshot-id'];
  const parts = names.map((name) => metadata.value(name));
  return `uncommitted:${parts.map((part) => integerValue(part) ?? part ?? '').join(':')}`;
}

function vendedCredentials(fields: JsonFields): VendedCredential[] {
  return fields
    .objects('storage-credentials')
    .map((entry) => ({ prefix: entry.string('prefix'), config: storageConfig(entry, 'config') }));
}

/** Converts values to strings, because some catalogs write times and switches as numbers and booleans. */
function storageConfig(fields: JsonFields, name: string): Record<string, string> {
  if (!fields.has(name)) return {};
  const config: Record<string, string> = Object.create(null);
  for (const [key, value] of Object.entries(fields.object(name).raw)) {
    const integer = integerValue(value);
    if (isPlainString(value)) config[key] = value;
    else if (integer !== undefined || typeof value === 'boolean') config[key] = String(integer ?? value);
    if (isPlainSecret(key, config[key] ?? '')) rememberIssuedSecret(config[key] ?? '');
  }
  return config;
}
