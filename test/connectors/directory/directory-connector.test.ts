import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { openDirectory } from '../../../src/connectors/directory/open-directory.ts';
import { openConnector } from '../../../src/connectors/open-connector.ts';
import type { Page, PageRequest, TableEntry, UpstreamCatalog } from '../../../src/connectors/spi.ts';
import type { NamespacePath } from '../../../src/contract/upstream-names.ts';
import { CodedError } from '../../../src/errors.ts';
import { changesOf, fixtures } from '../../formats/iceberg/fixtures.ts';
import { tableMetadata } from '../../formats/iceberg/write-table.ts';
import { MemoryStore } from '../memory-store.ts';
import { plainSpec } from '../spec.ts';

let root: string;
const open = (uri: string) => openConnector(plainSpec('ICEBERG', uri), {});

function write(path: string, content: string | object = ''): void {
  const full = join(root, path);
  mkdirSync(join(full, '..'), { recursive: true });
  writeFileSync(full, typeof content === 'string' ? content : JSON.stringify(content));
}

async function all<T>(list: (page: PageRequest) => Promise<Page<T>>, size = 2): Promise<T[]> {
  const items: T[] = [];
  for (let page = await list({ size }); ; page = await list({ size, token: page.nextToken })) {
    expect(page.items.length).toBeLessThanOrEqual(size);
    items.push(...page.items);
    if (page.nextToken === undefined) return items;
  }
}
const namespaces = (connector: UpstreamCatalog, parent: NamespacePath = []) =>
  all((page) => connector.listNamespaces(parent, page));
const tables = async (connector: UpstreamCatalog, namespace: NamespacePath) =>
  (await all<TableEntry>((page) => connector.listTables(namespace, page))).map((table) => table.name);

beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'ware house-'));
});
afterAll(() => rmSync(root, { recursive: true }));

describe('listing', () => {
  it('lists the fixtures', async () => {
    const connector = await open(`file://${fixtures}wh`);
    expect(await namespaces(connector)).toEqual([['bad'], ['fx']]);
    expect(await tables(connector, ['bad'])).toEqual(['missing_manifest', 'missing_metadata', 'truncated_metadata']);
    expect(await tables(connector, ['fx'])).toHaveLength(19);
    expect(await namespaces(connector, ['fx'])).toEqual([]);
    expect(await tables(connector, [])).toEqual([]);
  });

  it('lists nested namespaces with any names and the tables beside them, and nothing else', async () => {
    const table = tableMetadata();
    for (const path of ['a.b/t', 'a.b/in ner/ü名😀/t 1', 'a.b/in ner/t2', 'top']) {
      write(`${path}/metadata/v1.metadata.json`, table);
    }
    for (const path of ['.hidden/t', 'a.b/.t']) write(`${path}/metadata/v1.metadata.json`, table);
    write('file');
    write('a.b/file.metadata.json');
    write('delta/_delta_log/0.json');
    write('uniform/_delta_log/0.json');
    write('uniform/metadata/v1.metadata.json', table);
    write('hinted/t/metadata/version-hint.text', '7');
    write('lists/t/metadata/snap-1.avro');
    write('odd/metadata/below/file');
    mkdirSync(join(root, 'empty'));
    symlinkSync('..', join(root, 'empty', 'up'));
    const connector = await open(`file://${root}`);
    expect(await namespaces(connector)).toEqual([['a.b'], ['empty'], ['hinted'], ['lists'], ['odd']]);
    expect(await tables(connector, [])).toEqual(['top', 'uniform']);
    expect(await namespaces(connector, ['a.b'])).toEqual([['a.b', 'in ner']]);
    expect(await namespaces(connector, ['a.b', 'in ner'])).toEqual([['a.b', 'in ner', 'ü名😀']]);
    expect(await tables(connector, ['a.b', 'in ner', 'ü名😀'])).toEqual(['t 1']);
    expect(await tables(connector, ['a.b', 'in ner'])).toEqual(['t2']);
    expect(await namespaces(connector, ['odd'])).toEqual([['odd', 'metadata']]);
    expect(await namespaces(connector, ['empty'])).toEqual([]);
    // These folders have no readable metadata, so they are listed and opening them fails.
    for (const namespace of ['hinted', 'lists']) {
      expect(await tables(connector, [namespace])).toEqual(['t']);
      await expect(connector.openTable({ namespace: [namespace], name: 't' })).rejects.toMatchObject({
        code: 'DATA_LOSS',
        message: expect.stringMatching(/no metadata file: .*none has a name such as/),
      });
    }
    const reader = await connector.openTable({ namespace: ['a.b', 'in ner', 'ü名😀'], name: 't 1' });
    expect(reader.descriptor.formatVersion).toBe(2);
  });

  it('continues after the last name, whatever appears or disappears', async () => {
    const store = new MemoryStore();
    const names = ['B', 'a', 'b', 'é', 'zz'];
    const put = (name: string) => store.objects.set(`/w/${name}/file`, Buffer.alloc(0));
    names.forEach(put);
    const connector = await openDirectory(store, '/w');
    const first = await connector.listNamespaces([], { size: 2 });
    expect(first).toEqual({ items: [['B'], ['a']], nextToken: 'a' });
    store.objects.delete('/w/a/file');
    put('A');
    put('aa');
    expect(await connector.listNamespaces([], { size: 9, token: 'a' })).toEqual({
      items: [['aa'], ['b'], ['zz'], ['é']],
    });
    await expect(connector.listNamespaces([], { size: 0 })).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  });

  it('lists a folder that may not be read both as a table and as a namespace', async () => {
    const store = new MemoryStore();
    store.objects.set('/w/secret/x/y', Buffer.alloc(0));
    store.objects.set('/w/open/x/y', Buffer.alloc(0));
    const list = store.list.bind(store);
    store.list = async function* (folder, options) {
      if (folder.startsWith('/w/secret')) throw new CodedError('PERMISSION_DENIED', `cannot read ${folder}`);
      yield* list(folder, options);
    };
    const connector = await openDirectory(store, '/w');
    expect(await namespaces(connector)).toEqual([['open'], ['secret']]);
    expect(await tables(connector, [])).toEqual(['secret']);
    await expect(tables(connector, ['secret'])).rejects.toMatchObject({ code: 'PERMISSION_DENIED' });
    await expect(connector.openTable({ namespace: [], name: 'secret' })).rejects.toMatchObject({
      code: 'PERMISSION_DENIED',
    });
  });

  it('names what does not exist', async () => {
    const connector = await open(`file://${fixtures}wh`);
    const notFound = (part: RegExp) =>
      expect.objectContaining({ code: 'NOT_FOUND', message: expect.stringMatching(part) });
    await expect(connector.listTables(['nope'], { size: 1 })).rejects.toEqual(notFound(/nope/));
    await expect(connector.listTables(['fx', 'orders'], { size: 1 })).rejects.toEqual(notFound(/is a table/));
    await expect(connector.openTable({ namespace: ['fx'], name: 'nope' })).rejects.toEqual(
      notFound(/no table fx\.nope/),
    );
    for (const name of ['..', '.', '', 'a/b', '../wh/fx', 'a\0b']) {
      await expect(connector.fingerprint({ namespace: ['fx'], name })).rejects.toEqual(notFound(/cannot be the name/));
      await expect(connector.listTables([name], { size: 1 })).rejects.toEqual(notFound(/cannot be the name/));
    }
  });
});

describe('newest metadata', () => {
  const names = (at: string) => `t/${at}/metadata`;
  let count = 0;

  /** Writes a table of these files and returns the name of the metadata file that is chosen. */
  async function chosen(files: Record<string, string | object>): Promise<string> {
    const folder = names(String(count++));
    for (const [name, content] of Object.entries(files)) write(`${folder}/${name}`, content);
    const connector = await open(root);
    const reader = await connector.openTable({ namespace: ['t'], name: String(count - 1) });
    expect(reader.descriptor.location).toBe('/t');
    return reader.descriptor.metadataLocation.slice(join(root, folder).length + 1);
  }
  const at = (ms: number) => tableMetadata({ 'last-updated-ms': ms });
  const m = tableMetadata();

  it('is the file with the highest number', async () => {
    expect(await chosen({ 'v9.metadata.json': m, 'v10.metadata.json': m })).toBe('v10.metadata.json');
    expect(await chosen({ '00009-a.metadata.json': m, '00010-b.gz.metadata.json': m, '00011-c.crc': '' })).toBe(
      '00010-b.gz.metadata.json',
    );
    expect(await chosen({ 'v1.metadata.json': m, 'v2.metadata.json.gz': m, '.v3.metadata.json.crc': '' })).toBe(
      'v2.metadata.json.gz',
    );
    expect(await chosen({ 'odd.metadata.json': m })).toBe('odd.metadata.json');
    // Whichever was updated last.
    expect(await chosen({ 'v10-5f.metadata.json': at(1), 'v9-7c.metadata.json': at(2) })).toBe('v10-5f.metadata.json');
  });

  it('is the last version without a gap after the hint', async () => {
    const files = { 'v1.metadata.json': m, 'v2.gz.metadata.json': m, 'v3.metadata.json': m, 'v5.metadata.json': m };
    expect(await chosen({ ...files, 'version-hint.text': '1' })).toBe('v3.metadata.json');
    expect(await chosen({ ...files, 'version-hint.text': '5\n' })).toBe('v5.metadata.json');
  });

  it.each(['9', 'garbage', '', '-1', '99999999999999999999', 'x'.repeat(10_000)])(
    'ignores the hint %j',
    async (hint) => {
      expect(await chosen({ 'v1.metadata.json': m, 'v3.metadata.json': m, 'version-hint.text': hint })).toBe(
        'v3.metadata.json',
      );
    },
  );

  it('is the file updated last if commits raced', async () => {
    expect(
      await chosen({ '00002-z.metadata.json': at(1), '00002-a.metadata.json': at(9), '00002-b.metadata.json': '{' }),
    ).toBe('00002-a.metadata.json');
    expect(await chosen({ '00002-z.metadata.json': at(1), '00002-a.metadata.json': at(1) })).toMatch(/^00002-/);
  });
});

describe('fingerprint', () => {
  it('changes only with the metadata file', async () => {
    cpSync(`${fixtures}fs`, join(root, 'fs'), { recursive: true });
    const connector = await open(root);
    const table = { namespace: ['fs', 'db1'], name: 'plain' };
    const first = await connector.fingerprint(table);
    expect(await connector.fingerprint(table)).toBe(first);
    expect((await connector.openTable(table)).descriptor.fingerprint).toBe(first);
    // A Hadoop table that is dropped and re-created has the same file names again.
    utimesSync(join(root, 'fs/db1/plain/metadata/v4.metadata.json'), 1, 1);
    const second = await connector.fingerprint(table);
    expect(second).not.toBe(first);
    rmSync(join(root, 'fs/db1/plain/metadata/v4.metadata.json'));
    expect(await connector.fingerprint(table)).not.toBe(second);
  });
});

describe('what a table may read', () => {
  const location = '/lake/fixtures/iceberg/wh/fx/orders';
  /** Writes a table whose metadata names the manifest lists of another table by their real paths. */
  function writeHostileTable(): void {
    const folder = `${fixtures}wh/fx/orders/metadata`;
    const newest = readdirSync(folder)
      .filter((name) => name.endsWith('.metadata.json'))
      .sort()
      .at(-1) as string;
    const metadata = readFileSync(join(folder, newest), 'utf8')
      .replaceAll(new RegExp(`"(file:)?(//)?${location}/metadata/snap-`, 'g'), `"file:${folder}/snap-`)
      .replace(/"location"\s*:\s*"[^"]*"/, '"location": "/elsewhere"');
    write('hostile/t/metadata/v1.metadata.json', metadata);
  }
  const read = async (properties: Record<string, string>, localRoots?: string[]) => {
    const connector = await openConnector({ ...plainSpec('ICEBERG', root), properties }, { localRoots });
    const reader = await connector.openTable({ namespace: ['hostile'], name: 't' });
    return changesOf(reader, reader.descriptor.currentSnapshotId as bigint);
  };

  it('is its own folder and the locations that the connector allows', async () => {
    writeHostileTable();
    await expect(read({})).rejects.toMatchObject({
      code: 'PERMISSION_DENIED',
      message: expect.stringMatching(
        /fx\/orders\/metadata\/snap-.* is outside .*hostile\/t.*storage\.allowed-locations/,
      ),
    });
    // The manifest list names its manifests by the paths of the machine on which it was written, which do not exist here.
    await expect(read({ 'storage.allowed-locations': `${fixtures}wh/fx/orders` })).rejects.toMatchObject({
      message: expect.stringContaining(`${location}/metadata/`),
    });
    await expect(read({ 'storage.allowed-locations': `${fixtures}wh/fx/orders` }, [root])).rejects.toMatchObject({
      code: 'PERMISSION_DENIED',
      message: expect.stringMatching(/cannot read .*snap-.*RECONCILER_LOCAL_ROOTS/),
    });
  });

  it('is below the folders that the worker allows', async () => {
    const uri = `file://${fixtures}wh`;
    const connector = await openConnector(plainSpec('ICEBERG', uri), { localRoots: ['/nowhere', `${fixtures}`] });
    expect(await tables(connector, ['fx'])).toContain('orders');
    for (const localRoots of [[], [`${fixtures}fs`], [`${fixtures}w`]]) {
      await expect(openConnector(plainSpec('ICEBERG', uri), { localRoots })).rejects.toMatchObject({
        code: 'PERMISSION_DENIED',
        message: expect.stringMatching(/^connector URI file:.*wh: cannot read .*RECONCILER_LOCAL_ROOTS/),
      });
    }
  });
});

describe('connector URI', () => {
  it('is a folder, percent-encoded or not', async () => {
    mkdirSync(join(root, 'uri', 'a%20b', 'one'), { recursive: true });
    mkdirSync(join(root, 'uri', 'c d', 'two'), { recursive: true });
    expect(await namespaces(await open(`file://${root}/uri/a%20b/`))).toEqual([['one']]);
    expect(await namespaces(await open(`file:${root}/uri/c%20d`))).toEqual([['two']]);
    expect(await namespaces(await open(`${root}/uri/c d`))).toEqual([['two']]);
  });

  it.each([
    ['file:///no/such/warehouse', 'NOT_FOUND', /connector URI file:\/\/\/no\/such\/warehouse: .*Use the folder/],
    [`file://${fixtures}README.md`, 'INVALID_ARGUMENT', /is a file\. Use the folder/],
    [`file://${fixtures}wh/fx/orders`, 'INVALID_ARGUMENT', /is an Iceberg table\. Use the folder/],
    ['file://other-host/x', 'INVALID_ARGUMENT', /names the host/],
    ['hdfs://host/warehouse', 'UNIMPLEMENTED', /kind ICEBERG with/],
  ])('%s is %s', async (uri, code, message) => {
    await expect(open(uri)).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
  });

  it('of another kind is not supported', async () => {
    await expect(openConnector(plainSpec('DELTA', 'https://host/path'), {})).rejects.toMatchObject({
      code: 'UNIMPLEMENTED',
    });
  });
});
