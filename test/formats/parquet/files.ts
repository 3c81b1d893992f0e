import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { DataFileBytes } from '../../../src/formats/table-reader.ts';

/** Made by test/generators/parquet_files.py. */
const FOLDER = join(import.meta.dirname, '../../fixtures/made/parquet');

export interface ColumnTruth {
  name: string;
  type: string;
  size: number;
  values: number;
  nulls: number | null;
  lower?: string;
  upper?: string;
  distinct: number;
  /** The smallest hashes, at most 40. */
  hashes: string[];
}

export interface FileTruth {
  rows: number;
  ids: boolean;
  size: number;
  columns: Record<string, ColumnTruth>;
}

export const TRUTH = JSON.parse(readFileSync(join(FOLDER, 'truth.json'), 'utf8')) as Record<string, FileTruth>;

export function fileBytes(name: string): Buffer {
  return readFileSync(join(FOLDER, `${name}.parquet`));
}

/** A file in memory that records the ranges that are read. */
export function inMemory(bytes: Uint8Array): DataFileBytes & { reads: [number, number][] } {
  const reads: [number, number][] = [];
  return {
    byteLength: bytes.length,
    reads,
    async slice(start, end) {
      reads.push([start, end]);
      return bytes.subarray(start, end);
    },
  };
}

/** The columns of the table to which the file belongs. */
export function columnsOf({ columns }: FileTruth) {
  return Object.entries(columns).map(([id, { name, type }]) => ({ id: Number(id), name, type, required: false }));
}

/** A name mapping for a file without field ids. */
export function mappingOf(truth: FileTruth) {
  return Object.entries(truth.columns).map(([id, { name }]) => ({ 'field-id': Number(id), names: ['other', name] }));
}

export const NESTED_MAPPING = [
  { 'field-id': 1, names: ['tags'], fields: [{ 'field-id': 4, names: ['element'] }] },
  {
    'field-id': 2,
    names: ['props'],
    fields: [
      { 'field-id': 5, names: ['key'] },
      { 'field-id': 6, names: ['value'] },
    ],
  },
  {
    'field-id': 3,
    names: ['point'],
    fields: [
      { 'field-id': 7, names: ['x'] },
      { 'field-id': 8, names: ['y'] },
    ],
  },
];
