import { copyFileSync, cpSync, mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { openConnector } from '../../../src/connectors/open-connector.ts';
import { tableMetadata } from '../../formats/iceberg/write-table.ts';
import { plainSpec } from '../spec.ts';

/** Written by delta-rs: versions 0 to 6. */
const FIXTURE = fileURLToPath(new URL('../../fixtures/delta/rs_partitioned', import.meta.url));
/** From its log. */
const UUID = 'd744cdd3-1085-4c8a-9f25-3f1d01a9f59e';
const ALL = { size: 100 };

let root: string;
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'mixed-'));
  for (const path of ['sales/orders', 'sales/eu/orders', 'top']) cpSync(FIXTURE, join(root, path), { recursive: true });
  cpSync(FIXTURE, join(root, 'sales/uniform'), { recursive: true });
  for (const path of ['sales/uniform', 'sales/iceberg']) {
    mkdirSync(join(root, path, 'metadata'), { recursive: true });
    writeFileSync(join(root, path, 'metadata/v1.metadata.json'), JSON.stringify(tableMetadata()));
  }
  mkdirSync(join(root, 'sales/plain'));
});
afterAll(() => rmSync(root, { recursive: true }));

const open = (kind: 'DELTA' | 'ICEBERG', uri: string) => openConnector(plainSpec(kind, uri), {});

describe('a warehouse of both formats', () => {
  it.each([
    ['DELTA', ['orders', 'uniform'], ['top'], [1, 0]],
    ['ICEBERG', ['iceberg', 'uniform'], [], [1, 1]],
  ] as const)('has its own tables for kind %s, and counts the others', async (format, inSales, atTop, others) => {
    const connector = await open(format, `file://${root}`);
    expect((await connector.listNamespaces([], ALL)).items).toEqual([['sales']]);
    // A table of the other format is no namespace.
    expect((await connector.listNamespaces(['sales'], ALL)).items).toEqual([
      ['sales', 'eu'],
      ['sales', 'plain'],
    ]);
    const namespace = ['sales'];
    const items = inSales.map((name) => ({ namespace, name, format }));
    expect(await connector.listTables(namespace, ALL)).toEqual({ items, otherKinds: others[0] });
    expect(await connector.listTables([], ALL)).toEqual({
      items: atTop.map((name) => ({ namespace: [], name, format })),
      otherKinds: others[1],
    });
    // In pages, each of them is counted once.
    let [token, counted] = [undefined as string | undefined, 0];
    do {
      const { otherKinds = 0, nextToken } = await connector.listTables(namespace, { size: 1, token });
      counted += otherKinds;
      token = nextToken;
    } while (token !== undefined);
    expect(counted).toBe(others[0]);
    for (const table of ['orders', 'iceberg']) {
      await expect(connector.listNamespaces(['sales', table], ALL)).rejects.toMatchObject({
        code: 'NOT_FOUND',
        message: expect.stringContaining('is a table'),
      });
    }
  });

  it('reads its Delta tables', async () => {
    const connector = await open('DELTA', root);
    const reader = await connector.openTable({ namespace: ['sales', 'eu'], name: 'orders' });
    expect(reader.descriptor).toMatchObject({ format: 'DELTA', uuid: UUID, currentSnapshotId: 6n });
    expect(reader.descriptor.location).toBe(join(root, 'sales/eu/orders'));
    expect([...reader.history()].map(({ snapshotId }) => snapshotId)).toEqual([0n, 1n, 2n, 3n, 4n, 5n, 6n]);
    await expect(connector.openTable({ namespace: ['sales'], name: 'nope' })).rejects.toMatchObject({
      code: 'NOT_FOUND',
      message: expect.stringMatching(/^there is no table sales\.nope: /),
    });
  });
});

describe('what the catalog knows', () => {
  it('is read for Delta tables only', async () => {
    const asked: string[] = [];
    const known = (name: string) => async () => {
      asked.push(name);
      return undefined;
    };
    for (const [kind, name] of [
      ['ICEBERG', 'iceberg'],
      ['DELTA', 'orders'],
    ] as const) {
      const connector = await open(kind, root);
      await connector.openTable({ namespace: ['sales'], name }, known(name));
    }
    expect(asked).toEqual(['orders']);
  });

  it('names the columns of a table', async () => {
    const connector = await open('DELTA', root);
    const table = { namespace: ['sales'], name: 'orders' };
    const first = (await connector.openTable(table)).descriptor;
    const { uuid, fingerprint, partitionSpecs } = first;
    const schemas = first.schemas.map(({ id, json }) => ({ id, json: json.replace(/"id":1(?=\D)/, '"id":77') }));
    const known = { uuid, fingerprint, schemas, partitionSpecs };
    const { descriptor } = await connector.openTable(table, async () => known);
    expect(first.schemas[0]?.json).not.toMatch(/"id":77\D/);
    expect(descriptor.schemas[0]?.json).toMatch(/"id":77\D/);
  });
});

describe('the fingerprint of a Delta table', () => {
  it('changes with each commit, and if the newest commit is another one', async () => {
    const log = join(root, 'changing/t/_delta_log');
    cpSync(FIXTURE, join(root, 'changing/t'), { recursive: true });
    const connector = await open('DELTA', root);
    const table = { namespace: ['changing'], name: 't' };
    const first = await connector.fingerprint(table);
    expect(await connector.fingerprint(table)).toBe(first);
    expect(await connector.fingerprint(table, first)).toBe(first);
    // What a reader adds to it says where it found the table's metadata.
    const opened = (await connector.openTable(table)).descriptor.fingerprint;
    expect(opened.startsWith(first)).toBe(true);
    expect(await connector.fingerprint(table, opened)).toBe(opened);
    copyFileSync(join(log, '00000000000000000002.json'), join(log, '00000000000000000007.json'));
    const second = await connector.fingerprint(table, first);
    expect(second).not.toBe(first);
    expect(await connector.fingerprint(table)).toBe(second);
    // A table that is dropped and created again has the same versions again.
    utimesSync(join(log, '00000000000000000007.json'), 1, 1);
    expect(await connector.fingerprint(table, second)).not.toBe(second);
  });
});

describe('the URI of a single table', () => {
  it.each(['top', 'top/', 'to%70'])('%s is a table without a namespace', async (path) => {
    const connector = await open('DELTA', `file://${root}/${path}`);
    const table = { namespace: [], name: 'top' };
    expect(await connector.listNamespaces([], ALL)).toEqual({ items: [] });
    expect(await connector.listTables([], ALL)).toEqual({ items: [{ ...table, format: 'DELTA' }] });
    // Often copied from a listing.
    await expect(open('DELTA', `${root}/sales/orders/_delta_log/`)).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringContaining('is the log of a Delta table. Use the folder above it'),
    });
    const { descriptor } = await connector.openTable(table);
    expect(descriptor).toMatchObject({ uuid: UUID, location: join(root, 'top') });
    expect(await connector.fingerprint(table, descriptor.fingerprint)).toBe(descriptor.fingerprint);
  });

  it('has no other tables, and no namespaces', async () => {
    const connector = await open('DELTA', join(root, 'top'));
    const notFound = { code: 'NOT_FOUND', message: expect.stringContaining("the connector's URI is a single table") };
    await expect(connector.openTable({ namespace: [], name: 'other' })).rejects.toMatchObject(notFound);
    await expect(connector.fingerprint({ namespace: ['cat=a'], name: 'top' })).rejects.toMatchObject(notFound);
    await expect(connector.listTables(['cat=a'], ALL)).rejects.toMatchObject(notFound);
    await expect(connector.listNamespaces(['cat=a'], ALL)).rejects.toMatchObject(notFound);
  });

  it('must be of the format of the kind', async () => {
    await expect(open('DELTA', join(root, 'sales/iceberg'))).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringMatching(/is an Iceberg table\. Create a connector of kind iceberg/),
    });
    await expect(open('ICEBERG', join(root, 'sales/orders'))).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringMatching(/is a Delta table\. Create a connector of kind delta/),
    });
  });
});
