import { deflateRawSync } from 'node:zlib';
import avro from 'avsc';
import snappy from 'snappyjs';
import { crc32 } from '../../../src/formats/avro/crc32.ts';
import { openIcebergTable } from '../../../src/formats/iceberg/table-reader.ts';
import type { MemoryStore } from '../../connectors/memory-store.ts';

/** Writes Avro files and tables with avsc, which shares no code with the code under test. */

export type Encode = (block: Buffer) => Buffer;

/** A zstandard frame with one raw block and no compression: 4 bytes of content size, single segment (RFC 8878). */
export function zstandardRaw(block: Buffer): Buffer {
  const header = Buffer.alloc(12);
  header.writeUInt32LE(0xfd2fb528, 0);
  header.writeUInt8(0b1010_0000, 4);
  header.writeUInt32LE(block.length, 5);
  header.writeUIntLE((block.length << 3) | 1, 9, 3);
  return Buffer.concat([header, block]);
}

export const encoders: Record<string, Encode> = {
  null: (block) => block,
  deflate: (block) => deflateRawSync(block),
  snappy: (block) => {
    const sum = Buffer.alloc(4);
    sum.writeUInt32BE(crc32(block));
    return Buffer.concat([Buffer.from(snappy.compress(block)), sum]);
  },
  zstandard: zstandardRaw,
};

const sync = Buffer.from('0123456789abcdef');
const long = avro.Type.forSchema('long');

export interface WriteAvro {
  codec?: string;
  metadata?: Record<string, string>;
  /** Records per block. */
  blockSize?: number;
}

export function avroFile(schema: object, records: readonly unknown[], options: WriteAvro = {}): Buffer {
  const { codec = 'null', metadata = {}, blockSize = 100 } = options;
  const type = avro.Type.forSchema(schema as avro.Schema, { wrapUnions: false });
  const header: Record<string, Buffer> = {
    'avro.schema': Buffer.from(JSON.stringify(schema)),
    'avro.codec': Buffer.from(codec),
  };
  for (const [key, value] of Object.entries(metadata)) header[key] = Buffer.from(value);
  const parts = [Buffer.from('Obj\x01'), avro.Type.forSchema({ type: 'map', values: 'bytes' }).toBuffer(header), sync];
  for (let start = 0; start < records.length; start += blockSize) {
    const block = records.slice(start, start + blockSize);
    const body = (encoders[codec] as Encode)(Buffer.concat(block.map((record) => type.toBuffer(record))));
    parts.push(long.toBuffer(block.length), long.toBuffer(body.length), body, sync);
  }
  return Buffer.concat(parts);
}

const nullable = (name: string, id: number, type: unknown) => ({
  name,
  type: ['null', type],
  default: null,
  'field-id': id,
});
const map = (name: string, value: unknown, key: number, item: number) => ({
  type: 'array',
  logicalType: 'map',
  items: {
    type: 'record',
    name,
    fields: [
      { name: 'key', type: 'int', 'field-id': key },
      { name: 'value', type: value, 'field-id': item },
    ],
  },
});

export function entrySchema(partition: readonly object[] = []): object {
  return {
    type: 'record',
    name: 'manifest_entry',
    fields: [
      { name: 'status', type: 'int', 'field-id': 0 },
      nullable('snapshot_id', 1, 'long'),
      nullable('sequence_number', 3, 'long'),
      nullable('file_sequence_number', 4, 'long'),
      {
        name: 'data_file',
        'field-id': 2,
        type: {
          type: 'record',
          name: 'r2',
          fields: [
            { name: 'content', type: 'int', default: 0, 'field-id': 134 },
            { name: 'file_path', type: 'string', 'field-id': 100 },
            { name: 'file_format', type: 'string', 'field-id': 101 },
            { name: 'partition', 'field-id': 102, type: { type: 'record', name: 'r102', fields: partition } },
            { name: 'record_count', type: 'long', 'field-id': 103 },
            { name: 'file_size_in_bytes', type: 'long', 'field-id': 104 },
            nullable('column_sizes', 108, map('k117_v118', 'long', 117, 118)),
            nullable('value_counts', 109, map('k119_v120', 'long', 119, 120)),
            nullable('null_value_counts', 110, map('k121_v122', 'long', 121, 122)),
            nullable('nan_value_counts', 137, map('k138_v139', 'long', 138, 139)),
            nullable('lower_bounds', 125, map('k126_v127', 'bytes', 126, 127)),
            nullable('upper_bounds', 128, map('k129_v130', 'bytes', 129, 130)),
            nullable('key_metadata', 131, 'bytes'),
            nullable('split_offsets', 132, { type: 'array', items: 'long', 'element-id': 133 }),
            nullable('equality_ids', 135, { type: 'array', items: 'int', 'element-id': 136 }),
            nullable('first_row_id', 142, 'long'),
            nullable('content_offset', 144, 'long'),
          ],
        },
      },
    ],
  };
}

export interface Entry {
  status?: 0 | 1 | 2;
  snapshot_id?: number | null;
  sequence_number?: number | null;
  file_sequence_number?: number | null;
  path: string;
  content?: number;
  partition?: Record<string, unknown>;
  records?: number;
  /** Further fields of `data_file`. */
  more?: Record<string, unknown>;
}

export function manifest(
  entries: readonly Entry[],
  options: WriteAvro & { partition?: readonly object[] } = {},
): Buffer {
  const records = entries.map(
    ({ status = 1, path, content = 0, partition = {}, records = 10, more = {}, ...rest }) => ({
      status,
      snapshot_id: null,
      sequence_number: null,
      file_sequence_number: null,
      ...rest,
      data_file: {
        content,
        file_path: path,
        file_format: 'PARQUET',
        partition,
        record_count: records,
        file_size_in_bytes: 100,
        column_sizes: null,
        value_counts: null,
        null_value_counts: null,
        nan_value_counts: null,
        lower_bounds: null,
        upper_bounds: null,
        key_metadata: null,
        split_offsets: null,
        equality_ids: null,
        first_row_id: null,
        content_offset: null,
        ...more,
      },
    }),
  );
  return avroFile(entrySchema(options.partition), records, options);
}

const LIST_SCHEMA = {
  type: 'record',
  name: 'manifest_file',
  fields: [
    { name: 'manifest_path', type: 'string', 'field-id': 500 },
    { name: 'manifest_length', type: 'long', 'field-id': 501 },
    { name: 'partition_spec_id', type: 'int', 'field-id': 502 },
    { name: 'content', type: 'int', default: 0, 'field-id': 517 },
    { name: 'sequence_number', type: 'long', default: 0, 'field-id': 515 },
    nullable('added_snapshot_id', 503, 'long'),
    nullable('added_files_count', 504, 'int'),
    nullable('existing_files_count', 505, 'int'),
    nullable('deleted_files_count', 506, 'int'),
    nullable('first_row_id', 520, 'long'),
  ],
};

export interface ListedManifest {
  path: string;
  bytes: Buffer;
  snapshot?: number | null;
  sequence?: number;
  /** Added, existing and deleted files. */
  counts?: readonly [number, number, number];
  content?: 0 | 1;
  firstRowId?: number;
  specId?: number;
}

export function manifestList(manifests: readonly ListedManifest[], options: WriteAvro = {}): Buffer {
  const records = manifests.map(({ path, bytes, specId, content, sequence, snapshot, counts, firstRowId }) => ({
    manifest_path: path,
    manifest_length: bytes.length,
    partition_spec_id: specId ?? 0,
    content: content ?? 0,
    sequence_number: sequence ?? 0,
    added_snapshot_id: snapshot ?? null,
    added_files_count: counts?.[0] ?? null,
    existing_files_count: counts?.[1] ?? null,
    deleted_files_count: counts?.[2] ?? null,
    first_row_id: firstRowId ?? null,
  }));
  return avroFile(LIST_SCHEMA, records, options);
}

export const SCHEMA = {
  type: 'struct',
  'schema-id': 0,
  fields: [
    { id: 1, name: 'id', required: true, type: 'long' },
    { id: 2, name: 'name', required: false, type: 'string' },
  ],
};

export function tableMetadata(more: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    'format-version': 2,
    'table-uuid': 'f79c3e09-677c-4bbd-a479-3f349cb785e7',
    location: '/t',
    'last-sequence-number': 1,
    'last-updated-ms': 1_700_000_000_000,
    'last-column-id': 2,
    schemas: [SCHEMA],
    'current-schema-id': 0,
    'partition-specs': [{ 'spec-id': 0, fields: [] }],
    'default-spec-id': 0,
    'last-partition-id': 999,
    properties: {},
    snapshots: [],
    ...more,
  };
}

export function snapshot(id: number, more: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    'snapshot-id': id,
    'sequence-number': id,
    'timestamp-ms': 1_700_000_000_000 + id,
    'manifest-list': `/t/metadata/snap-${id}.avro`,
    summary: { operation: 'append' },
    'schema-id': 0,
    ...more,
  };
}

/** Puts the table's metadata, manifest lists and manifests into the store, and opens the table. */
export async function openWritten(
  store: MemoryStore,
  metadata: Record<string, unknown>,
  lists: Record<number, readonly ListedManifest[]>,
) {
  const metadataLocation = '/t/metadata/v1.metadata.json';
  store.objects.set(metadataLocation, Buffer.from(JSON.stringify(metadata)));
  for (const [id, manifests] of Object.entries(lists)) {
    store.objects.set(`/t/metadata/snap-${id}.avro`, manifestList(manifests));
    for (const { path, bytes } of manifests) store.objects.set(path, bytes);
  }
  return openIcebergTable({ store, metadataLocation, fingerprint: 'f' });
}
