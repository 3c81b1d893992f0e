import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { openGlueCatalog } from '../../../src/connectors/glue/glue-connector.ts';
import type { TableFormat } from '../../../src/formats/table-reader.ts';
import { type Moto, startMoto } from '../servers/moto.ts';
import { runPython } from '../servers/python.ts';
import { type GlueProxy, startGlueProxy } from './glue-proxy.ts';

const SCRIPT = fileURLToPath(new URL('glue-tables.py', import.meta.url));
/** Written by delta-rs: versions 0 to 6. */
const FIXTURE = fileURLToPath(new URL('../../fixtures/delta/rs_partitioned', import.meta.url));
const namespace = ['deltas'];

let moto: Moto;
let proxy: GlueProxy;
beforeAll(async () => {
  moto = await startMoto();
  proxy = await startGlueProxy(moto.url);
  await runPython(SCRIPT, [moto.url, 'delta', FIXTURE], { env: moto.env });
});
afterAll(async () => {
  await proxy?.[Symbol.asyncDispose]();
  await moto?.stop();
});

const open = (properties: Record<string, string> = {}) =>
  openGlueCatalog(
    {
      kind: 'GLUE',
      uri: proxy.url,
      properties: {
        'client.region': 'us-east-1',
        's3.endpoint': moto.url,
        'client.access-key-id': moto.access.accessKeyId,
        'client.secret-access-key': moto.access.secretAccessKey,
        ...properties,
      },
      auth: { scheme: '', headerHints: {}, properties: {} },
    },
    {},
  );

const entry = (name: string, format: TableFormat) => expect.objectContaining({ namespace, name, format });
const DELTA = ['spark', 'athena', 'crawler', 'gone'].map((name) => entry(name, 'DELTA'));
const ICEBERG = [entry('iceberg', 'ICEBERG')];

it.each([
  ['', [...DELTA, ...ICEBERG]],
  ['delta', DELTA],
  ['iceberg', ICEBERG],
])('lists the tables of the formats %j, without symlink manifests', async (formats, entries) => {
  await using glue = await open({ 'glue.formats': formats });
  const { items } = await glue.listTables(namespace, { size: 100 });
  expect(items).toHaveLength(entries.length);
  expect(items).toEqual(expect.arrayContaining(entries));
  for (const { format, fingerprint } of items) expect(fingerprint === undefined).toBe(format === 'DELTA');
});

it.each(['spark', 'athena', 'crawler'])('reads the table that %s has registered', async (name) => {
  await using glue = await open();
  const table = { namespace, name };
  await using reader = await glue.openTable(table);
  expect(reader.descriptor).toMatchObject({
    format: 'DELTA',
    // From its log.
    uuid: 'd744cdd3-1085-4c8a-9f25-3f1d01a9f59e',
    location: name === 'crawler' ? 's3a://lake/delta/t' : 's3://lake/delta/t',
    currentSnapshotId: 6n,
  });
  expect([...reader.history()]).toHaveLength(7);
  const { fingerprint } = reader.descriptor;
  expect(await glue.fingerprint(table, fingerprint)).toBe(fingerprint);
});

it('asks Glue once for a page of tables, their fingerprints and their logs', async () => {
  await using glue = await open();
  proxy.forget();
  const { items } = await glue.listTables(namespace, { size: 100 });
  for (const table of items.filter(({ name }) => name !== 'gone' && name !== 'iceberg')) {
    await glue.fingerprint(table);
    await using _ = await glue.openTable(table);
  }
  expect(proxy.calls()).toEqual({ GetTables: 1 });
});

it('continues what the catalog knows of a table', async () => {
  await using glue = await open();
  const table = { namespace, name: 'spark' };
  await using first = await glue.openTable(table);
  const { uuid, fingerprint, partitionSpecs, schemas } = first.descriptor;
  const known = { uuid, fingerprint, partitionSpecs, schemas: schemas.map(({ id, json }) => ({ id: id + 5, json })) };
  await using second = await glue.openTable(table, async () => known);
  expect(second.descriptor.currentSchemaId).toBe(first.descriptor.currentSchemaId + 5);
});

it('names a table whose log is not where it is registered', async () => {
  await using glue = await open();
  await expect(glue.openTable({ namespace, name: 'gone' })).rejects.toMatchObject({
    code: 'DATA_LOSS',
    message: expect.stringMatching(
      /^Glue's table deltas\.gone is registered at s3:\/\/lake\/delta\/nowhere, where no Delta log is/,
    ),
  });
});

it('notices that a table is registered elsewhere, where a copy of its log is', async () => {
  await using glue = await open();
  const table = { namespace, name: 'athena' };
  const before = await glue.fingerprint(table);
  await runPython(SCRIPT, [moto.url, 'move'], { env: moto.env });
  await using later = await open();
  expect(await later.fingerprint(table, before)).not.toBe(before);
  await using reader = await later.openTable(table);
  expect(reader.descriptor.location).toBe('s3://lake/delta/copy');
});
