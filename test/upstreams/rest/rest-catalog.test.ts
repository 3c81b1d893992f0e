import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { NamespacePath } from '../../../src/contract/upstream-names.ts';
import { localPath } from '../../../src/storage/file-uri.ts';
import { CleanUp } from '../clean-up.ts';
import { startIcebergRest } from '../servers/iceberg-rest.ts';
import { all, expectFingerprints, open, SCHEMA, send, setProperty } from './rest-probes.ts';

/** The connector against real catalogs, without jobs, which are in the other files. */

describe("Iceberg's REST server", () => {
  const cleanUp = new CleanUp();
  let uri: string;
  let folder: string;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'reconciler-rest-'));
    cleanUp.defer(() => rmSync(folder, { recursive: true }));
    const rest = cleanUp.use(await startIcebergRest({ warehouse: `file://${folder}` }));
    uri = rest.url;
  });
  afterAll(() => cleanUp[Symbol.asyncDispose]());

  const path = (namespace: NamespacePath) => namespace.map(encodeURIComponent).join('%2E');
  const makeNamespace = (namespace: NamespacePath) => send('POST', `${uri}/v1/namespaces`, { namespace });
  const makeTable = (namespace: NamespacePath, name: string) =>
    send('POST', `${uri}/v1/namespaces/${path(namespace)}/tables`, { name, schema: SCHEMA });

  // The server's Jetty accepts no slash, backslash or percent sign in names, however they are encoded.
  it('lists in pages, and reads tables with unusual names', async () => {
    const namespaces = [['odd'], ['odd', 'two words'], ['odd', 'ü +é'], ['odd', 'two words', "it's (3)!*"]];
    for (const namespace of namespaces) await makeNamespace(namespace);
    const odd = ['plain', 'with space', 'plus+', 'ünï—код', "quote's", 'semi;colon,comma&=?#', '~tilde'];
    for (const name of odd) await makeTable(['odd', 'ü +é'], name);
    await using connector = await open(uri);
    expect((await all((page) => connector.listNamespaces([], page), 1)).filter(([name]) => name === 'odd')).toEqual([
      ['odd'],
    ]);
    const below = await all((page) => connector.listNamespaces(['odd'], page), 1);
    expect(below.map(([, name]) => name).sort()).toEqual(['two words', 'ü +é']);
    expect(await all((page) => connector.listNamespaces(['odd', 'two words'], page), 5)).toEqual([
      ['odd', 'two words', "it's (3)!*"],
    ]);
    const tables = await all((page) => connector.listTables(['odd', 'ü +é'], page), 3);
    expect(tables.map(({ name }) => name).sort()).toEqual([...odd].sort());
    for (const table of tables) {
      await using reader = await connector.openTable(table);
      expect(reader.descriptor.fingerprint).toBe(await connector.fingerprint(table));
    }
  });

  it('names what does not exist', async () => {
    await using connector = await open(uri);
    for (const ask of [
      () => connector.listTables(['no such'], { size: 1 }),
      () => connector.listNamespaces(['no such'], { size: 1 }),
      () => connector.openTable({ namespace: ['odd'], name: 'no such' }),
      () => connector.fingerprint({ namespace: ['odd'], name: 'no such' }),
    ]) {
      await expect(ask()).rejects.toMatchObject({
        code: 'NOT_FOUND',
        message: expect.stringMatching(/does not exist: .*no such/),
      });
    }
  });

  it('distinguishes a changed table from an unchanged one', async () => {
    await makeNamespace(['fp']);
    await makeTable(['fp'], 't');
    await expectFingerprints(uri, { namespace: ['fp'], name: 't' }, () => setProperty(`${uri}/v1`, 'fp', 't', '1'));
  });

  it('returns 304 for an unchanged table, a response without a body, although it compresses responses', async () => {
    await makeNamespace(['cheap']);
    await makeTable(['cheap'], 't');
    // Large enough to be compressed, which changes the ETag.
    for (let i = 0; i < 3; i++) await setProperty(`${uri}/v1`, 'cheap', 't', 'x'.repeat(5_000 + i));
    await using connector = await open(uri);
    const table = { namespace: ['cheap'], name: 't' };
    const { fingerprint } = (await connector.openTable(table)).descriptor;
    const { requests, bytes } = { ...connector.usage };
    expect(await connector.fingerprint(table, fingerprint)).toBe(fingerprint);
    expect(connector.usage).toEqual({ requests: requests + 1, bytes });
  });

  it('has views', async () => {
    await makeNamespace(['v']);
    const representation = (dialect: string, sql: string) => ({ type: 'sql', sql, dialect });
    const view = (id: number, sql: string) => ({
      'version-id': id,
      'timestamp-ms': 1_795_443_818_470 + id,
      'schema-id': 0,
      summary: { engine: 'test' },
      representations: [representation('spark', sql), representation('trino', `${sql} -- trino`)],
      'default-catalog': 'prod',
      'default-namespace': ['v', 'inner'],
    });

    await send('POST', `${uri}/v1/namespaces/v/views`, {
      name: 'one',
      schema: SCHEMA,
      'view-version': view(1, 'SELECT 1'),
      properties: { comment: 'a view' },
    });
    await using connector = await open(uri);
    expect(await connector.listViews?.(['v'], { size: 5 })).toEqual({ items: [{ namespace: ['v'], name: 'one' }] });
    const first = await connector.describeView?.({ namespace: ['v'], name: 'one' });
    expect(first).toMatchObject({
      versionId: 1,
      representations: [
        { dialect: 'spark', sql: 'SELECT 1' },
        { dialect: 'trino', sql: 'SELECT 1 -- trino' },
      ],
      defaultCatalog: 'prod',
      defaultNamespace: ['v', 'inner'],
      properties: { comment: 'a view' },
    });
    expect(JSON.parse(first?.schema.json ?? '')).toMatchObject(SCHEMA);
    await send('POST', `${uri}/v1/namespaces/v/views/one`, {
      requirements: [],
      updates: [
        { action: 'add-view-version', 'view-version': view(2, 'SELECT 2') },
        { action: 'set-current-view-version', 'view-version-id': -1 },
      ],
    });
    const second = await connector.describeView?.({ namespace: ['v'], name: 'one' });
    expect(second).toMatchObject({ uuid: first?.uuid, versionId: 2, representations: [{ sql: 'SELECT 2' }, {}] });
    expect(second?.fingerprint).not.toBe(first?.fingerprint);
    await expect(connector.describeView?.({ namespace: ['v'], name: 'none' })).rejects.toMatchObject({
      code: 'NOT_FOUND',
    });
  });

  it('distinguishes a table whose metadata file is missing from a missing table', async () => {
    await makeNamespace(['gone']);
    const made = await (await makeTable(['gone'], 't')).json();
    const { 'metadata-location': location } = made as { 'metadata-location': string };
    rmSync(localPath(location));
    await using connector = await open(uri);
    const table = { namespace: ['gone'], name: 't' };
    for (const ask of [() => connector.openTable(table), () => connector.fingerprint(table)]) {
      await expect(ask()).rejects.toMatchObject({
        code: 'DATA_LOSS',
        message: expect.stringContaining(localPath(location)),
      });
    }
  });

  it('hangs over truncated metadata without delaying other tables', async () => {
    await makeNamespace(['hang']);
    const made = await (await makeTable(['hang'], 'cut')).json();
    await makeTable(['hang'], 'whole');
    const { 'metadata-location': location } = made as { 'metadata-location': string };
    writeFileSync(localPath(location), JSON.stringify(made).slice(0, 200));
    await using connector = await open(uri, { 'rest.client.socket-timeout-ms': '2000' });
    const cut = connector.openTable({ namespace: ['hang'], name: 'cut' }).catch((error) => error);
    await connector.openTable({ namespace: ['hang'], name: 'whole' });
    expect(await cut).toMatchObject({
      code: 'DEADLINE_EXCEEDED',
      message: expect.stringMatching(/namespaces\/hang\/tables\/cut.* 2000 ms/),
    });
  });
});
