import { ClientError, Status } from 'nice-grpc';
import type { CatalogClients } from '../../../src/catalog-client/connect.ts';
import type { DataFile } from '../../../src/generated/reconciler/v1/statistics.ts';
import type { Table } from '../../../src/generated/reconciler/v1/tables.ts';
import type { Truth, TruthFile, TruthSnapshot } from './truth.ts';

/** Field ids above this one are reserved for the columns of delete files (Iceberg spec, "Reserved Field IDs"). */
const RESERVED = 2_147_483_000;

/** Which snapshots should be in the catalog, by decimal id, and which of them with files. If absent, all. */
export interface Selected {
  taken?: (id: string) => boolean;
  captured?: (id: string) => boolean;
}

/** Returns every difference between the catalog's content of a table and the truth. */
export async function differences(
  catalog: CatalogClients,
  tableId: string,
  truth: Truth,
  { taken = () => true, captured = () => true }: Selected = {},
): Promise<string[]> {
  const found: string[] = [];
  const same = (what: string, got: unknown, want: unknown) => {
    const [g, w] = [text(got), text(want)];
    if (g !== w) found.push(`${what}: got ${g.slice(0, 300)} want ${w.slice(0, 300)}`);
  };

  const table = await catalog.tables.getTable({ tableId });
  same('current snapshot', table.currentSnapshotId, truth.current_snapshot_id ?? undefined);
  same(
    'refs',
    table.refs.map(({ name, type, snapshotId }) => [name, type, snapshotId]).sort(),
    Object.entries(truth.refs)
      .map(([name, { type, snapshot_id }]) => [name, `SNAPSHOT_REF_TYPE_${type.toUpperCase()}`, snapshot_id])
      .sort(),
  );

  await compareMetadata(catalog, table, truth, same);

  const listed = await catalog.snapshots.listSnapshots({ tableId, pageSize: 1000 });
  const snapshots = new Map(listed.snapshots.map((s) => [String(s.snapshotId), s]));
  same(
    'snapshots',
    [...snapshots.keys()].sort(),
    truth.snapshots
      .map((s) => String(s.snapshot_id))
      .filter(taken)
      .sort(),
  );
  for (const want of truth.snapshots) {
    const id = String(want.snapshot_id);
    const got = snapshots.get(id);
    if (!got) continue;
    same(`${id} parent`, got.parentSnapshotId, want.parent_id ?? undefined);
    same(`${id} operation`, got.operation, want.operation);
    same(`${id} sequence number`, got.sequenceNumber, want.sequence_number);
    same(`${id} committed at`, got.committedAt?.getTime(), want.timestamp_ms);
    if (want.summary) same(`${id} summary`, sorted(got.summary), sorted(want.summary));
    if (want.schema_id !== undefined) same(`${id} schema`, got.schemaId, want.schema_id);
    const snapshotId = BigInt(id);
    same(`${id} captured`, got.captured, captured(id));
    if (!got.captured) {
      const refused = (error: unknown) => (error instanceof ClientError ? Status[error.code] : String(error));
      const calls = {
        totals: catalog.statistics.getTableStats({ tableId, snapshotId }),
        columns: catalog.statistics.listColumnStats({ tableId, snapshotId }),
        files: catalog.statistics.listFileColumnStats({ tableId, snapshotId }),
        plan: catalog.plans.getPlan({ tableId, snapshotId }),
      };
      for (const [what, call] of Object.entries(calls)) {
        same(`${id} ${what} without files`, await call.then(() => 'answered', refused), 'FAILED_PRECONDITION');
      }
      continue;
    }
    if (!want.live) continue;
    await compareTotals(catalog, tableId, snapshotId, want, truth, same);
    await compareFiles(catalog, tableId, snapshotId, want, truth, same);
    await compareColumns(catalog, tableId, snapshotId, want, truth, same);
    await comparePlan(catalog, tableId, snapshotId, want, truth, same);
  }
  return found;
}

/** Properties, sorted. Some are paths, which differ in a copy of the fixtures. */
function placed(properties: Record<string, string>) {
  const inFixtures = Object.entries(properties).map(([name, value]) => [
    name,
    value.replace(/^\S*\/(?=made\/iceberg\/)/, ''),
  ]);
  return sorted(Object.fromEntries(inFixtures));
}

/** Compares what the truth has of the table itself. */
async function compareMetadata(catalog: CatalogClients, table: Table, truth: Truth, same: Same) {
  if (truth.properties) same('properties', placed(table.properties), placed(truth.properties));
  if (truth.default_spec_id !== undefined) same('default spec', table.defaultSpecId, truth.default_spec_id);
  if (truth.specs) {
    const specs = table.partitionSpecs.map(({ specId, fields }) => [
      specId,
      fields.map((field) => [field.fieldId, field.name, field.transform, field.sourceIds]),
    ]);
    const wanted = truth.specs.map(({ 'spec-id': specId, fields }) => [
      specId,
      fields.map((field) => [field['field-id'], field.name, field.transform, [field['source-id']]]),
    ]);
    same('specs', specs.sort(), wanted.sort());
  }
  if (truth.current_schema_id !== undefined) same('schema', table.schema?.schemaId, truth.current_schema_id);
  for (const schema of truth.schemas ?? []) {
    const stored = await catalog.tables.getTableSchema({ tableId: table.tableId, schemaId: schema['schema-id'] });
    same(`schema ${schema['schema-id']}`, sorted(JSON.parse(stored.json)), sorted(schema));
  }
}

/** The same JSON value with sorted keys. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, of]) => [name, sorted(of)]),
  );
}

type Same = (what: string, got: unknown, want: unknown) => void;

async function compareTotals(
  catalog: CatalogClients,
  tableId: string,
  snapshotId: bigint,
  want: TruthSnapshot,
  truth: Truth,
  same: Same,
) {
  const got = await catalog.statistics.getTableStats({ tableId, snapshotId });
  const t = want.totals!;
  const sum = (...keys: string[]) => keys.reduce((n, key) => n + (t[key] ?? 0), 0);
  same(`${snapshotId} rows`, got.rowCount, t.data_records);
  same(`${snapshotId} data files`, got.dataFileCount, t.data_files);
  same(
    `${snapshotId} delete files`,
    got.deleteFileCount,
    sum('position_delete_files', 'equality_delete_files', 'deletion_vectors'),
  );
  same(`${snapshotId} data bytes`, got.dataSizeBytes, t.data_bytes);
  // A deletion vector counts with its own bytes, not with those of the Puffin file that it shares with others.
  const bytes = want.live!.map((l) => truth.files[l.file]!).map((f) => f.content_size_in_bytes ?? f.file_size_in_bytes);
  same(
    `${snapshotId} bytes`,
    got.totalSizeBytes,
    bytes.reduce((n, size) => n + size, 0),
  );
  // The count is absent if the metadata does not determine it. If present, it equals the count of a real scan.
  if (got.liveRowCount !== undefined && want.live_rows !== undefined && want.live_rows !== null) {
    same(`${snapshotId} live rows`, got.liveRowCount, want.live_rows);
  }
  if (sum('position_delete_files', 'equality_delete_files', 'deletion_vectors') === 0) {
    same(`${snapshotId} live rows`, got.liveRowCount, t.data_records);
  }
}

const key = (path: string, offset: unknown) => `${path}@${offset ?? ''}`;

async function compareFiles(
  catalog: CatalogClients,
  tableId: string,
  snapshotId: bigint,
  want: TruthSnapshot,
  truth: Truth,
  same: Same,
) {
  const got: [string, DataFile][] = [];
  for await (const { files } of catalog.statistics.streamFileColumnStats({ tableId, snapshotId })) {
    for (const file of files) got.push([key(file.filePath, file.contentOffset), file]);
  }
  const live = want.live!.map((l) => ({ ...l, is: truth.files[l.file]! }));
  const gotFields = fieldsByKey(got.map(([k, file]) => [k, fieldsOf(file)]));
  const wantFields = fieldsByKey(live.map((file) => [key(file.is.path, file.is.content_offset), trueFieldsOf(file)]));
  const names = (files: typeof gotFields) => [...files].flatMap(([k, listed]) => listed.map(() => k)).sort();
  same(`${snapshotId} files`, names(gotFields), names(wantFields));
  for (const [k, listed] of wantFields) {
    listed.forEach((fields, i) => {
      const stored = gotFields.get(k)?.[i];
      if (!stored) return;
      const isColumn = (name: string) => name.startsWith('column ');
      for (const name of new Set([...Object.keys(fields), ...Object.keys(stored).filter(isColumn)])) {
        same(`${snapshotId} ${k.slice(-60)} ${name}`, stored[name], fields[name]);
      }
    });
  }
}

type Fields = Record<string, unknown>;

/** The descriptions of files by key. A file can be live more than once: descriptions are sorted, as the order does not matter. */
function fieldsByKey(files: [string, Fields][]): Map<string, Fields[]> {
  const byKey = new Map<string, Fields[]>();
  for (const [k, fields] of files) byKey.set(k, [...(byKey.get(k) ?? []), fields]);
  for (const listed of byKey.values()) listed.sort((a, b) => (text(a) < text(b) ? -1 : 1));
  return byKey;
}

function fieldsOf(file: DataFile): Fields {
  const columns = file.columns.flatMap((c) => {
    const stored = [c.valueCount, c.nullCount, c.nanCount, hexOf(c.lowerBound), hexOf(c.upperBound), c.sizeInBytes];
    return c.columnId > RESERVED ? [] : [[`column ${c.columnId}`, stored]];
  });
  return {
    content: file.fileContent,
    format: file.fileFormat,
    records: file.recordCount,
    size: file.fileSizeInBytes,
    spec: file.specId,
    'sequence number': file.sequenceNumber,
    'file sequence number': file.fileSequenceNumber,
    'first row id': file.firstRowId ?? null,
    partition: file.partition.map((p) => [p.name, p.fieldId, p.text === undefined]),
    ...Object.fromEntries(file.partition.map((p) => [`value of ${p.name}`, [p.type, hexOf(p.value)]])),
    ...Object.fromEntries(columns),
  };
}

type LiveFile = NonNullable<TruthSnapshot['live']>[number] & { is: TruthFile };

/** What a truth states of a live file. Only some truths state the values of partitions. */
function trueFieldsOf({ is, seq, file_seq, row_id }: LiveFile): Fields {
  const partition = is.partition ?? [];
  const columns = Object.entries(is.columns ?? {}).flatMap(([id, c]) => {
    const stated = [c.values, c.nulls, c.nans, c.lower_hex, c.upper_hex, c.size];
    return Number(id) > RESERVED ? [] : [[`column ${id}`, stated]];
  });
  return {
    content: `FILE_CONTENT_${is.content}`,
    format: `FILE_FORMAT_${is.format}`,
    records: is.record_count,
    size: is.file_size_in_bytes,
    spec: is.spec_id,
    'sequence number': seq,
    'file sequence number': file_seq,
    ...(row_id !== undefined && { 'first row id': row_id }),
    partition: partition.map((p) => [p.name, p.field_id, p.raw === null]),
    ...Object.fromEntries(
      partition.flatMap((p) => (p.hex === undefined ? [] : [[`value of ${p.name}`, [p.type, p.hex]]])),
    ),
    ...Object.fromEntries(columns),
  };
}

async function compareColumns(
  catalog: CatalogClients,
  tableId: string,
  snapshotId: bigint,
  want: TruthSnapshot,
  truth: Truth,
  same: Same,
) {
  const data = want.live!.map((l) => truth.files[l.file]!).filter((f) => f.content === 'DATA');
  if (data.length === 0) return;
  const { columns } = await catalog.statistics.listColumnStats({ tableId, snapshotId, pageSize: 1000 });
  const got = new Map(columns.map((c) => [String(c.columnId), c]));
  if (want.ndv) {
    const stored = columns.flatMap(({ columnId, ndv }) => (ndv ? [[columnId, ndv.exact ?? ndv.estimate]] : []));
    same(`${snapshotId} numbers of distinct values`, stored, Object.entries(want.ndv));
  }
  for (const id of new Set(data.flatMap((f) => Object.keys(f.columns ?? {})))) {
    const parts = data.map((f) => f.columns?.[id]);
    const total = (of: 'values' | 'nulls' | 'nans') =>
      parts.every((p) => p?.[of] !== undefined) ? parts.reduce((n, p) => n + p![of]!, 0) : undefined;
    const column = got.get(id);
    const at = `${snapshotId} snapshot column ${id}`;
    same(`${at} values`, column?.valueCount, total('values'));
    same(`${at} nulls`, column?.nullCount, total('nulls'));
    same(`${at} NaNs`, column?.nanCount, total('nans'));
    const type = column?.logicalType ?? '';
    // A file without records has no values, whatever its metrics lack.
    const filled = data.flatMap((f) => (f.record_count === 0 ? [] : [f.columns?.[id]]));
    same(`${at} lower`, comparable(type, hexOf(column?.lowerBound)), extreme(type, filled, 'lower_hex'));
    same(`${at} upper`, comparable(type, hexOf(column?.upperBound)), extreme(type, filled, 'upper_hex'));
  }
}

type Part = TruthFile['columns'][string] | undefined;

/** Returns the least lower or the greatest upper bound, if every part with values has one. */
function extreme(type: string, parts: Part[], of: 'lower_hex' | 'upper_hex') {
  const bounds: Comparable[] = [];
  for (const part of parts) {
    const hex = part?.[of];
    if (hex !== undefined) bounds.push(comparable(type, hex)!);
    else if (part?.values === undefined || part.nulls === undefined) return undefined;
    else if (part.values !== part.nulls + (part.nans ?? 0)) return undefined;
  }
  bounds.sort((a, b) => (a < b ? -1 : a > b ? 1 : Object.is(a, -0) ? -1 : 0));
  return of === 'lower_hex' ? bounds[0] : bounds.at(-1);
}

type Comparable = bigint | number | string;
const hexOf = (bytes: Buffer | undefined) => bytes && Buffer.from(bytes).toString('hex');

/** Converts a bound to a value that JavaScript can order, regardless of the width in which it was written. */
function comparable(type: string, hex: string | undefined): Comparable | undefined {
  if (hex === undefined) return undefined;
  const bytes = Buffer.from(hex, 'hex');
  if (/^(int|long|date|time)/.test(type))
    return BigInt.asIntN(bytes.length * 8, BigInt(`0x${bytes.reverse().toString('hex')}`));
  if (/^(float|double)/.test(type)) return bytes.length === 4 ? bytes.readFloatLE() : bytes.readDoubleLE();
  if (type.startsWith('decimal')) return BigInt.asIntN(bytes.length * 8, BigInt(`0x${hex}`));
  return hex;
}

async function comparePlan(
  catalog: CatalogClients,
  tableId: string,
  snapshotId: bigint,
  want: TruthSnapshot,
  truth: Truth,
  same: Same,
) {
  if (!want.plan) return;
  const name = (file: string) => key(truth.files[file]!.path, truth.files[file]!.content_offset);
  const expected = want.plan.map(({ file, deletes = [] }) => [truth.files[file]!.path, deletes.map(name).sort()]);
  const got: [string, string[]][] = [];
  for await (const { files } of catalog.plans.streamPlan({ tableId, snapshotId })) {
    for (const f of files) {
      got.push([f.file!.filePath, f.deleteFiles.map((d) => key(d.filePath, d.contentOffset)).sort()]);
    }
  }
  same(`${snapshotId} plan's files`, got.length, expected.length);
  // Only what differs, as plans are long.
  const unlike = (some: unknown[], others: unknown[]) => {
    const known = new Set(others.map(text));
    return some.filter((one) => !known.has(text(one))).sort();
  };
  same(`${snapshotId} plan`, unlike(got, expected), unlike(expected, got));
}

/** Formats a value so that BigInts, numbers and their decimal text are equal. */
function text(value: unknown): string {
  return (
    JSON.stringify(value, (_, v) =>
      typeof v === 'bigint' || (typeof v === 'number' && Number.isFinite(v)) ? String(v) : v === undefined ? null : v,
    ) ?? 'null'
  );
}
