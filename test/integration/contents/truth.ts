import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** The content of a table as Iceberg Java reported it, with every snapshot. Only the fields that are compared are declared. */
export interface Truth {
  corrupted?: string;
  current_snapshot_id: number | null;
  format_version?: number;
  refs: Record<string, { type: string; snapshot_id: string }>;
  /** As in the table's metadata. */
  schemas?: { 'schema-id': number }[];
  current_schema_id?: number;
  specs?: { 'spec-id': number; fields: SpecField[] }[];
  default_spec_id?: number;
  properties?: Record<string, string>;
  files: Record<string, TruthFile>;
  snapshots: TruthSnapshot[];
}

interface SpecField {
  'field-id': number;
  name: string;
  transform: string;
  'source-id'?: number;
}

export interface TruthFile {
  content: string;
  path: string;
  format: string;
  spec_id: number;
  record_count: number;
  file_size_in_bytes: number;
  content_offset?: number;
  content_size_in_bytes?: number;
  /** `hex` is the single-value serialization (Iceberg spec, appendix D); only some truths have it. */
  partition?: {
    name: string;
    field_id: number;
    type: string;
    raw: string | null;
    human?: string;
    hex?: string | null;
  }[];
  columns: Record<
    string,
    {
      name?: string;
      type?: string;
      size?: number;
      values?: number;
      nulls?: number;
      nans?: number;
      lower?: string;
      upper?: string;
      lower_hex?: string;
      upper_hex?: string;
    }
  >;
}

export interface TruthSnapshot {
  snapshot_id: string;
  parent_id: string | null;
  sequence_number: number;
  timestamp_ms: number;
  operation: string;
  schema_id?: number;
  summary?: Record<string, string>;
  /** Some truths state the first row ids. */
  live?: { file: string; seq: number; file_seq: number; row_id?: number | null }[];
  totals?: Record<string, number>;
  plan?: { file: string; deletes?: string[] }[];
  /** Numbers of distinct values by column id, from the table's metadata. */
  ndv?: Record<string, string>;
  live_rows?: number | null;
}

/** Reads the truth of every table in a `truth` folder, by file name. Snapshot ids are decimal text, because they exceed 2^53. */
export function readTruth(folder: string): Map<string, Truth> {
  const tables = new Map<string, Truth>();
  for (const name of readdirSync(folder).sort()) {
    const text = readFileSync(join(folder, name), 'utf8').replace(/"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*/g, (token) =>
      /^-?\d{16,}$/.test(token) ? `"${token}"` : token,
    );
    const truth = JSON.parse(text);
    if (truth.snapshots) tables.set(name.replace(/\.json$/, '').normalize('NFC'), truth);
  }
  return tables;
}
