import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import type { Snapshot } from '../../../src/generated/reconciler/v1/snapshots.ts';
import { manifestList, SCHEMA, snapshot, tableMetadata } from '../../formats/iceberg/write-table.ts';
import { FolderTables, METADATA } from './folder-tables.ts';

/** What a table may have very much of: it comes in, or is refused at once, with its size, the limit and what helps. */

let tables: FolderTables;
beforeAll(async () => {
  tables = await FolderTables.start();
});
afterAll(() => tables[Symbol.asyncDispose]());

const MIB = 1024 * 1024;
const text = (bytes: number) => 'x'.repeat(bytes);
const numbered = <T>(count: number, make: (i: number) => T): T[] => Array.from({ length: count }, (_, i) => make(i));
const entries = (count: number, value: string) => Object.fromEntries(numbered(count, (i) => [`key-${i}`, value]));
const refs = (count: number, name: string) =>
  Object.fromEntries(numbered(count, (i) => [`${name}-${i}`, { type: 'tag', 'snapshot-id': 1 }]));
const specs = (count: number, name: string) =>
  numbered(count, (i) => ({
    'spec-id': i,
    fields: [{ name: `${name}${i}`, transform: 'identity', 'source-id': 1, 'field-id': 1000 + i }],
  }));
const schema = (id: number, doc: string) => ({
  ...SCHEMA,
  'schema-id': id,
  fields: SCHEMA.fields.map((field) => ({ ...field, doc })),
});
const summaries = (count: number, summary: object) =>
  numbered(count, (i) => snapshot(i + 1, { summary: { operation: 'append', ...summary } }));

/** Ingests a table with one empty snapshot, and with these fields. */
async function ingested(fields: Record<string, unknown>) {
  const warehouse = tables.warehouse();
  const folder = join(warehouse, METADATA);
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'list.avro'), manifestList([]));
  const all = (fields.snapshots as object[] | undefined) ?? [snapshot(1)];
  const snapshots = all.map((one) => ({ ...one, 'manifest-list': join(folder, 'list.avro') }));
  const metadata = tableMetadata({ 'current-snapshot-id': 1, ...fields, location: join(folder, '..'), snapshots });
  writeFileSync(join(folder, 'v1.metadata.json'), JSON.stringify(metadata));
  const { ingest, tableId } = await tables.connect(warehouse);
  expect(await ingest()).toMatchObject({ changed: true });
  expect(await ingest()).toMatchObject({ changed: false });
  return tableId();
}

it.each<[string, Record<string, unknown>]>([
  ['thousands of properties, some of them long', { properties: { ...entries(5_000, text(500)), long: text(2 * MIB) } }],
  [
    'a summary with thousands of entries, some of them long',
    { snapshots: summaries(1, { ...entries(5_000, text(500)), long: text(2 * MIB) }) },
  ],
  ['a schema of several MiB', { schemas: [schema(0, text(3 * MIB))] }],
  ['twenty thousand tags', { refs: { main: { type: 'branch', 'snapshot-id': 1 }, ...refs(20_000, 'release') } }],
  ['a tag with a long name', { refs: { main: { type: 'branch', 'snapshot-id': 1 }, ...refs(1, text(100_000)) } }],
  ['twelve thousand partition specs', { 'partition-specs': specs(12_000, 'p') }],
  ['a hundred thousand sort orders', { 'sort-orders': numbered(100_000, (i) => ({ 'order-id': i, fields: [] })) }],
])('%s come in', async (_, fields) => {
  const tableId = await ingested(fields);
  const table = await tables.catalog.clients.tables.getTable({ tableId });
  if (fields.properties) expect(table.properties).toEqual(fields.properties);
  if (fields.refs) expect(table.refs).toHaveLength(Object.keys(fields.refs).length);
  if (fields['partition-specs']) expect(table.partitionSpecs).toHaveLength(12_000);
});

it('many large summaries come in, and are listed in pages that clients can read', async () => {
  const tableId = await ingested({ snapshots: summaries(30, { note: text(1.5 * MIB) }) });
  const listed: Snapshot[] = [];
  let pages = 0;
  for (let pageToken = ''; pages === 0 || pageToken !== ''; pages++) {
    const page = await tables.catalog.clients.snapshots.listSnapshots({ tableId, pageSize: 1000, pageToken });
    listed.push(...page.snapshots);
    pageToken = page.nextPageToken;
  }
  expect(listed.map(({ snapshotId, summary }) => [Number(snapshotId), summary.note?.length])).toEqual(
    numbered(30, (i) => [i + 1, 1.5 * MIB]),
  );
  // Two fit into 4 MiB.
  expect(pages).toBe(15);
});

it.each<[string, Record<string, unknown>, string]>([
  [
    'properties',
    { properties: { small: 'x', large: text(8 * MIB) } },
    'its properties have 8.0 MiB, at most 7.0 MiB are supported. Remove properties that nobody needs, "large" first.',
  ],
  [
    'a summary',
    { snapshots: summaries(1, { note: text(8 * MIB) }) },
    'the summary of snapshot 1 has 8.0 MiB, at most 7.0 MiB are supported. Expire the snapshot.',
  ],
  [
    'the current schema',
    { schemas: [schema(0, text(4 * MIB))] },
    'its current schema has 8.0 MiB, at most 7.0 MiB are supported. Remove columns or their docs.',
  ],
  ['an older schema', { schemas: [schema(0, ''), schema(1, text(4 * MIB))] }, 'schema 1 has 8.0 MiB, at most 7.0 MiB'],
  [
    'branches and tags',
    { refs: { main: { type: 'branch', 'snapshot-id': 1 }, ...refs(20_000, text(400)) } },
    'its branches and tags have 8.7 MiB, at most 7.0 MiB are supported. Drop some of them.',
  ],
  [
    'partition specs',
    { 'partition-specs': specs(20_000, text(400)) },
    'MiB, at most 7.0 MiB are supported. Remove specs that no snapshot needs.',
  ],
])('too large %s are refused at once', async (_, fields, message) => {
  await expect(ingested(fields)).rejects.toMatchObject({
    code: 'FAILED_PRECONDITION',
    message: expect.stringContaining(message),
  });
});
