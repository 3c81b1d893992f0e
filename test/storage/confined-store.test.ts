import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { allowedLocations, confineStore } from '../../src/storage/confined-store.ts';
import type { ObjectStore } from '../../src/storage/object-store.ts';
import { openStore } from '../../src/storage/open-store.ts';
import { listed } from './listed.ts';

/** A store in which every path exists. */
const everything: ObjectStore = {
  read: async (path) => Buffer.from(path),
  stat: async () => ({ size: 1, modifiedMs: 1 }),
  async *list(folder, { after = '' } = {}) {
    yield [{ name: `${folder}${after}`, folder: false }];
  },
};

describe('confineStore', () => {
  it.each([
    ['s3://b/wh/t', 's3://b/wh/t/metadata/v1.json'],
    ['s3://b/wh/t/', 's3a://b/wh/t/x'],
    ['s3n://b/wh/t', 'S3://b/wh/t/x'],
    ['s3://b/wh/t', 's3://b/wh/t'],
    ['s3://b/wh/t', 's3://b/wh//t/./x'],
    ['s3://b/wh/t', 's3://b/wh/t/a/../x'],
    ['s3://b', 's3://b/any'],
    ['s3://b/with space%20', 's3://b/with space%20/x'],
    ['/wh/t', 'file:///wh/t/x'],
    ['file:/wh/t', '/wh/t/x'],
    ['file://localhost/wh/t/', 'file:/wh/t/x'],
    ['/', '/any'],
    ['gs://b/t', 'gs://b/t/x'],
  ])('to %s allows %s', async (allowed, path) => {
    const store = confineStore(everything, ['s3://other/place', allowed]);
    expect(Buffer.from(await store.read(path, { maxBytes: 9 })).toString()).toBe(path);
    expect(await listed(store.list(path))).toEqual([{ name: path, folder: false }]);
    expect(await listed(store.list(path, { after: '/x' }))).toEqual([{ name: `${path}/x`, folder: false }]);
    expect(await store.stat(path)).toEqual({ size: 1, modifiedMs: 1 });
  });

  it.each([
    ['s3://b/wh/tab', 's3://b/wh/table2/x'],
    ['s3://b/wh/t', 's3://b/wh'],
    ['s3://b/wh/t', 's3://b/wh/t/../u/x'],
    ['s3://b/wh/t', 's3://b/wh/t/a/../../u'],
    ['s3://b/wh/t', 's3://b2/wh/t/x'],
    ['s3://b/wh/t', 's3://b/../b2/wh/t/x'],
    ['s3://b/wh/t', 's3://B/wh/t/x'],
    ['s3://b/wh/t', '/wh/t/x'],
    ['s3://b/wh/t', 'file:/b/wh/t/x'],
    ['s3://b/a b', 's3://b/a%20b/x'],
    ['/wh/t', '/wh/t/../../etc/passwd'],
    ['/wh/t', '/wh/t2/x'],
    ['/wh/t', 's3://wh/t/x'],
    ['/wh/t', 'gs://wh/t/x'],
  ])('to %s denies %s', async (allowed, path) => {
    const store = confineStore(everything, [allowed]);
    const denied = expect.objectContaining({
      code: 'PERMISSION_DENIED',
      message: `${path} is outside the locations that this table may read (${allowed}). If the file belongs to the table, add its folder to the connector's property storage.allowed-locations.`,
    });
    await expect(store.read(path, { maxBytes: 9 })).rejects.toEqual(denied);
    await expect(listed(store.list(path))).rejects.toEqual(denied);
    await expect(store.stat(path)).rejects.toEqual(denied);
  });

  it('to nothing denies everything', async () => {
    await expect(confineStore(everything, []).read('/x', { maxBytes: 9 })).rejects.toMatchObject({
      code: 'PERMISSION_DENIED',
      message: expect.stringContaining('(none)'),
    });
  });
});

describe('confineStore on a file system', () => {
  let folder: string;
  const read = async (path: string, allowed: string[]) => {
    const store = confineStore(openStore({ properties: {}, usage: { requests: 0, bytes: 0 } }), allowed);
    return Buffer.from(await store.read(path, { maxBytes: 99 })).toString();
  };
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'confined-'));
    for (const name of ['wh/a/data', 'wh/b', 'disk']) {
      mkdirSync(join(folder, name), { recursive: true });
      writeFileSync(join(folder, name, 'file'), name);
    }
    symlinkSync('../../b', join(folder, 'wh', 'a', 'data', 'l'));
    symlinkSync('../../b/file', join(folder, 'wh', 'a', 'data', 'f'));
    symlinkSync('data/file', join(folder, 'wh', 'a', 'own'));
    symlinkSync('../../disk', join(folder, 'wh', 'a', 'disk'));
    symlinkSync('wh', join(folder, 'lake'));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  it('does not follow links out of the allowed locations', async () => {
    const table = join(folder, 'wh/a');
    for (const path of [`${table}/data/l/file`, `file:${table}/data/f`]) {
      await expect(read(path, [table])).rejects.toMatchObject({
        code: 'PERMISSION_DENIED',
        message: expect.stringMatching(/, a link to .*wh\/b\/file, is outside .*storage\.allowed-locations/),
      });
    }
    const store = confineStore(openStore({ properties: {}, usage: { requests: 0, bytes: 0 } }), [table]);
    await expect(listed(store.list(`${table}/data/l`))).rejects.toMatchObject({ code: 'PERMISSION_DENIED' });
    await expect(store.stat(`${table}/data/l/file`)).rejects.toMatchObject({ code: 'PERMISSION_DENIED' });
    await expect(read(`${table}/data/nothing`, [table])).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  it('follows links within, to and above the allowed locations', async () => {
    const table = join(folder, 'wh/a');
    expect(await read(`${table}/own`, [table])).toBe('wh/a/data');
    expect(await read(`${table}/disk/file`, [table, `file://${folder}/disk/`])).toBe('disk');
    expect(await read(`${folder}/lake/a/data/file`, [`${folder}/lake/a`])).toBe('wh/a/data');
    expect(await read(`${table}/data/l/file`, [`${table}/data/l`])).toBe('wh/b');
    expect(await read(`${table}/data/l/file`, ['/'])).toBe('wh/b');
  });
});

it('reads allowed locations from the connector', () => {
  expect(allowedLocations({ 'storage.allowed-locations': ' s3://a/b, ,/c d/ ' })).toEqual(['s3://a/b', '/c d/']);
  expect(allowedLocations({})).toEqual([]);
});

describe('openStore', () => {
  let folder: string;
  const usage = { requests: 0, bytes: 0 };
  const read = async (path: string, localRoots?: string[]) =>
    Buffer.from(await openStore({ properties: {}, usage, localRoots }).read(path, { maxBytes: 99 })).toString();
  const denied = (path: string) =>
    expect.objectContaining({
      code: 'PERMISSION_DENIED',
      message: expect.stringMatching(new RegExp(`cannot read ${path}: .*RECONCILER_LOCAL_ROOTS`)),
    });

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'roots-'));
    for (const name of ['in', 'in-side', 'out']) {
      mkdirSync(join(folder, name));
      writeFileSync(join(folder, name, 'file'), name);
    }
    symlinkSync('../out/file', join(folder, 'in', 'to-out'));
    symlinkSync('../in/file', join(folder, 'out', 'to-in'));
    symlinkSync('in', join(folder, 'link-to-in'));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  it('reads only local files below the roots after following links', async () => {
    const roots = [join(folder, 'in')];
    expect(await read(`file:${folder}/in/file`, roots)).toBe('in');
    expect(await read(`${folder}/in/../in/file`, roots)).toBe('in');
    expect(await read(`${folder}/out/to-in`, roots)).toBe('in');
    for (const name of ['out/file', 'in-side/file', 'in/../out/file', 'in/to-out', 'out/nothing']) {
      await expect(read(`${folder}/${name}`, roots)).rejects.toEqual(denied(`${folder}/${name}`));
    }
    await expect(read(`${folder}/in/nothing`, roots)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    expect(await read(`${folder}/in/file`, [join(folder, 'link-to-in')])).toBe('in');
    expect(await read(`${folder}/link-to-in/file`, ['/no/such/root', join(folder, 'link-to-in')])).toBe('in');
  });

  it('applies the roots to listings and sizes too', async () => {
    const store = openStore({ properties: {}, usage, localRoots: [join(folder, 'in')] });
    expect(await listed(store.list(`${folder}/in`))).toHaveLength(2);
    await expect(listed(store.list(folder))).rejects.toEqual(denied(folder));
    await expect(store.stat(`${folder}/out/file`)).rejects.toEqual(denied(`${folder}/out/file`));
  });

  it('reads any local file without roots, and none with an empty list of roots', async () => {
    expect(await read(`${folder}/out/file`)).toBe('out');
    expect(await read(`${folder}/out/file`, ['/'])).toBe('out');
    await expect(read(`${folder}/out/file`, [])).rejects.toEqual(denied(`${folder}/out/file`));
  });

  it('counts requests and bytes', async () => {
    const counted = { requests: 0, bytes: 0 };
    const store = openStore({ properties: {}, usage: counted });
    await store.read(`${folder}/in-side/file`, { maxBytes: 99, start: 3 });
    await store.stat(`${folder}/in/file`);
    await listed(store.list(folder));
    await store.read(`${folder}/nothing`, { maxBytes: 99 }).catch(() => {});
    expect(counted).toEqual({ requests: 4, bytes: 'side'.length });
  });

  it.each(['oss://b/k', 'hdfs://nn/k', 'az://c/k', 'http://h/k', 'constructor://x/k'])(
    'names the supported schemes for %s',
    async (path) => {
      await expect(read(path)).rejects.toMatchObject({
        code: 'UNIMPLEMENTED',
        message: expect.stringMatching(
          /^cannot read .*use file:, s3:, s3a:, s3n:, abfss:, abfs:, wasbs:, wasb: or gs:$/,
        ),
      });
    },
  );
});
