import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { openConnector } from '../../../src/connectors/open-connector.ts';
import type { ContentFile, FileChange, PartitionValue, TableReader } from '../../../src/formats/table-reader.ts';
import { inTypeOfColumn, widestType } from '../../../src/stats/partition-value.ts';
import { plainSpec } from '../../connectors/spec.ts';
import type { TruthColumn } from '../../stats/truth.ts';

export const fixtures = fileURLToPath(new URL('../../fixtures/iceberg/', import.meta.url));

export interface TruthFile {
  content: string;
  path: string;
  format: string;
  spec_id: number;
  record_count: number;
  file_size_in_bytes: number;
  partition?: { name: string; field_id: number; type: string; raw: string | null; human: string | null }[];
  columns: Record<string, TruthColumn>;
  content_offset?: number;
  content_size_in_bytes?: number;
  referenced_data_file?: string;
  equality_ids?: number[];
  sort_order_id?: number;
  split_offsets?: number[];
  first_row_id?: number;
}

export interface TruthSnapshot {
  /** The exact id as a string: see `truths`. */
  snapshot_id: number | string;
  parent_id: number | string | null;
  sequence_number: number;
  timestamp_ms: number;
  operation: string | null;
  schema_id: number | null;
  summary: Record<string, string>;
  manifest_list: string;
  first_row_id?: number;
  added_rows?: number;
  live?: { file: string; seq: number | null; file_seq: number | null }[];
  totals: Record<string, number>;
  added?: string[];
  removed?: string[];
}

export interface TruthTable {
  location: string;
  metadata_location: string;
  uuid: string;
  format_version: number;
  current_snapshot_id: string | null;
  current_schema_id: number;
  default_spec_id: number;
  properties: Record<string, string>;
  schemas: { 'schema-id': number }[];
  specs: {
    'spec-id': number;
    fields: { name: string; transform: string; 'source-id': number; 'field-id': number }[];
  }[];
  refs: Record<string, { type: string; snapshot_id: string }>;
  snapshots: TruthSnapshot[];
  files: Record<string, TruthFile>;
  corrupted?: string;
}

/** The truth of every fixture table by its name, such as `wh.fx.orders` or `fs.db1.plain`. */
export function truths(): [string, TruthTable][] {
  return readdirSync(`${fixtures}truth`)
    .sort()
    .map((name) => {
      // Snapshot ids are read as strings, because they exceed the range of safe integers.
      const text = readFileSync(`${fixtures}truth/${name}`, 'utf8').replace(
        /("(?:current_snapshot_id|snapshot_id|parent_id)"\s*:\s*)(-?\d+)/g,
        '$1"$2"',
      );
      const table = name.slice(0, -'.json'.length);
      return [table.startsWith('hd.') ? `fs.${table.slice(3)}` : `wh.${table}`, JSON.parse(text) as TruthTable];
    });
}

export async function openFixture(name: string): Promise<TableReader> {
  const [warehouse = '', namespace = '', table = ''] = name.split('.');
  const connector = await openConnector(plainSpec('ICEBERG', `file://${fixtures}${warehouse}`), {});
  return connector.openTable({ namespace: [namespace], name: table });
}

export type Added = Extract<FileChange, { kind: 'added' }>;

export const keyOf = (path: string, offset?: number): string => (offset === undefined ? path : `${path}@${offset}`);
export const fileKey = (file: ContentFile): string => keyOf(file.path, file.contentOffset);

export async function changesOf(
  reader: TableReader,
  snapshotId: bigint,
  options: Parameters<TableReader['fileChanges']>[1] = {},
): Promise<FileChange[]> {
  const changes: FileChange[] = [];
  for await (const batch of reader.fileChanges(snapshotId, options)) changes.push(...batch.changes);
  return changes;
}

/** The live files after the changes. */
export function apply(live: ReadonlyMap<string, Added>, changes: readonly FileChange[]): Map<string, Added> {
  const after = new Map(live);
  for (const change of changes) if (change.kind === 'removed') after.delete(keyOf(change.path, change.contentOffset));
  for (const change of changes) if (change.kind === 'added') after.set(fileKey(change.file), change);
  return after;
}

/** A partition value in the type that its column has, as readers of the catalog see it. */
export function inColumn({ type, value }: PartitionValue, columnType: string): Pick<PartitionValue, 'type' | 'value'> {
  if (type !== widestType(columnType)) return { type, value };
  return { type: columnType, value: value && inTypeOfColumn({ type, value }, columnType) };
}
