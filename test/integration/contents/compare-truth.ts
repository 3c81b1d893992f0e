import { ClientError, Status } from 'nice-grpc';
import type { CatalogClients } from '../../../src/catalog-client/connect.ts';
import type { DataFile } from '../../../src/generated/reconciler/v1/statistics.ts';
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
  const got = new Map<string, DataFile>();
  for await (const { files } of catalog.statistics.streamFileColumnStats({ tableId, snapshotId })) {
    for (const file of files) {
      const k = key(file.filePath, file.contentOffset);
      if (got.has(k)) same(`${snapshotId} file`, `${k} twice`, 'once');
      got.set(k, file);
    }
  }
  const live = new Map(
    want.live!.map((l) => {
      const file = truth.files[l.file]!;
      return [key(file.path, file.content_offset), { ...l, is: file }] as const;
    }),
  );
  same(`${snapshotId} files`, [...got.keys()].sort(), [...live.keys()].sort());
  for (const [k, { is, seq, file_seq }] of live) {
    const file = got.get(k);
    if (!file) continue;
    const at = `${snapshotId} ${k.slice(-60)}`;
    same(`${at} content`, file.fileContent, `FILE_CONTENT_${is.content}`);
    same(`${at} format`, file.fileFormat, `FILE_FORMAT_${is.format}`);
    same(`${at} records`, file.recordCount, is.record_count);
    same(`${at} size`, file.fileSizeInBytes, is.file_size_in_bytes);
    same(`${at} spec`, file.specId, is.spec_id);
    same(`${at} sequence number`, file.sequenceNumber, seq);
    same(`${at} file sequence number`, file.fileSequenceNumber, file_seq);
    same(
      `${at} partition`,
      file.partition.map((p) => [p.name, p.fieldId, p.text === undefined]),
      (is.partition ?? []).map((p) => [p.name, p.field_id, p.raw === null]),
    );
    const columns = new Map(file.columns.map((c) => [String(c.columnId), c]));
    for (const [id, c] of Object.entries(is.columns ?? {})) {
      if (Number(id) > RESERVED) continue;
      const g = columns.get(id);
      const hex = (bytes: Buffer | undefined) => bytes && Buffer.from(bytes).toString('hex');
      same(
        `${at} column ${id}`,
        [g?.valueCount, g?.nullCount, g?.nanCount, hex(g?.lowerBound), hex(g?.upperBound), g?.sizeInBytes],
        [c.values, c.nulls, c.nans, c.lower_hex, c.upper_hex, c.size],
      );
    }
  }
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
    same(`${at} lower`, comparable(type, hexOf(column?.lowerBound)), extreme(type, parts, 'lower_hex'));
    same(`${at} upper`, comparable(type, hexOf(column?.upperBound)), extreme(type, parts, 'upper_hex'));
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
  const name = (f: TruthFile) => key(f.path, f.content_offset);
  const expected = new Map<string, Set<string>>();
  // In the truth, a large file occurs once per split.
  for (const { file, deletes = [] } of want.plan) {
    const path = truth.files[file]!.path;
    const set = expected.get(path) ?? new Set();
    for (const d of deletes) set.add(name(truth.files[d]!));
    expected.set(path, set);
  }
  const got: [string, string[]][] = [];
  for await (const { files } of catalog.plans.streamPlan({ tableId, snapshotId })) {
    for (const f of files) {
      got.push([f.file!.filePath, f.deleteFiles.map((d) => key(d.filePath, d.contentOffset)).sort()]);
    }
  }
  same(`${snapshotId} plan`, got.sort(), [...expected].map(([path, set]) => [path, [...set].sort()]).sort());
}

/** Formats a value so that BigInts, numbers and their decimal text are equal. */
function text(value: unknown): string {
  return (
    JSON.stringify(value, (_, v) =>
      typeof v === 'bigint' || (typeof v === 'number' && Number.isFinite(v)) ? String(v) : v === undefined ? null : v,
    ) ?? 'null'
  );
}
