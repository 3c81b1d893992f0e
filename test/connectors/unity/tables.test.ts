import { cpSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { readTable } from '../../../src/activities/validation/read-sample.ts';
import { parseFingerprint } from '../../../src/connectors/unity/unity-fingerprint.ts';
import type { KnownTable, TableReader } from '../../../src/formats/table-reader.ts';
import { ROOT } from '../../integration/stack/running-stack.ts';
import { respondWithJson } from '../rest/fake-server.ts';
import { commitName, managedCopy } from './managed-copy.ts';
import type { UnityServer } from './unity-server.ts';
import { closeAll, openUnity, unityServer } from './unity-setup.ts';

/** Written by delta-rs 1.6.6. According to delta-rs and Spark, its versions 0 to 6 have this many files. */
const FIXTURE = join(ROOT, 'test/fixtures/delta/rs_partitioned');
const FILES = [4, 8, 8, 8, 10, 4, 4];
const TABLE = { namespace: ['s'], name: 't' };
let folder: string;
let server: UnityServer;
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'unity-'));
  server = await unityServer();
});
afterEach(async () => {
  await closeAll();
  rmSync(folder, { recursive: true });
});

/** Number of live files of the current version. */
async function liveFiles(reader: TableReader): Promise<number> {
  const live = new Set<string>();
  for await (const { changes } of reader.fileChanges(reader.descriptor.currentSnapshotId as bigint)) {
    for (const change of changes) if (change.kind === 'added') live.add(change.file.path);
  }
  return live.size;
}

async function current(reader: TableReader) {
  return { version: reader.descriptor.currentSnapshotId, files: await liveFiles(reader) };
}

/** What the catalog stores of a table that was read. */
const stored = ({ descriptor }: TableReader): KnownTable => ({
  uuid: descriptor.uuid,
  fingerprint: descriptor.fingerprint,
  schemas: descriptor.schemas,
  partitionSpecs: descriptor.partitionSpecs,
});

describe('an external table', () => {
  const external = (name = 't') => {
    const location = join(folder, name);
    cpSync(FIXTURE, location, { recursive: true });
    return server.add('main', 's', { name: 't', storage_location: `file://${location}` });
  };

  it('is read from its location, and is the table that the catalog knows by its id', async () => {
    const { table_id } = external();
    const upstream = await openUnity(server);
    await upstream.listTables(['s'], { size: 10 });
    server.taken();
    await using reader = await upstream.openTable(TABLE);
    expect(reader.descriptor).toMatchObject({ uuid: table_id, format: 'DELTA' });
    expect(await current(reader)).toEqual({ version: 6n, files: FILES[6] });
    // Files on this machine need no credentials.
    expect(server.taken()).toEqual([]);
  });

  it('has a fingerprint that changes with its log', async () => {
    const { storage_location = '' } = external();
    const upstream = await openUnity(server);
    const { descriptor } = await upstream.openTable(TABLE);
    await upstream.listTables(['s'], { size: 10 });
    server.taken();
    expect(await upstream.fingerprint(TABLE, descriptor.fingerprint)).toBe(descriptor.fingerprint);
    expect(server.taken()).toEqual([]);
    const log = join(storage_location.slice('file://'.length), '_delta_log');
    cpSync(join(log, commitName(6)), join(log, commitName(7)));
    const changed = await upstream.fingerprint(TABLE, descriptor.fingerprint);
    expect(changed).not.toBe(descriptor.fingerprint);
    const opened = (await upstream.openTable(TABLE)).descriptor.fingerprint;
    expect(opened).not.toBe(descriptor.fingerprint);
    expect(await upstream.fingerprint(TABLE, opened)).toBe(opened);
  });

  it('that was dropped and registered again has another id and fingerprint', async () => {
    external();
    const first = await (await openUnity(server)).openTable(TABLE);
    server.schema('main', 's').length = 0;
    const { table_id } = external();
    const upstream = await openUnity(server);
    expect(await upstream.fingerprint(TABLE, first.descriptor.fingerprint)).not.toBe(first.descriptor.fingerprint);
    const again = await upstream.openTable(TABLE, async () => stored(first));
    expect(again.descriptor.uuid).toBe(table_id);
  });

  it('that was replaced after it was listed is read where it is now', async () => {
    external('old');
    const upstream = await openUnity(server);
    await upstream.listTables(['s'], { size: 10 });
    rmSync(join(folder, 'old'), { recursive: true });
    server.schema('main', 's').length = 0;
    const { table_id } = external('new');
    expect(parseFingerprint(await upstream.fingerprint(TABLE)).id).toBe(table_id);
    expect((await upstream.openTable(TABLE)).descriptor.uuid).toBe(table_id);
  });

  it('that was dropped after it was listed is gone and not broken', async () => {
    external();
    const upstream = await openUnity(server);
    await upstream.listTables(['s'], { size: 10 });
    rmSync(join(folder, 't'), { recursive: true });
    server.schema('main', 's').length = 0;
    await expect(upstream.fingerprint(TABLE)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await expect(upstream.openTable(TABLE)).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  it('is broken and not gone if its log is missing', async () => {
    server.add('main', 's', { name: 't', storage_location: `file://${folder}/nothing` });
    const upstream = await openUnity(server);
    const broken = {
      code: 'DATA_LOSS',
      message: expect.stringMatching(/^Unity Catalog has the table main\.s\.t, but its log/),
    };
    await expect(upstream.openTable(TABLE)).rejects.toMatchObject(broken);
    await expect(upstream.fingerprint(TABLE)).rejects.toMatchObject(broken);
  });

  it('may have a location that is percent-encoded', async () => {
    cpSync(FIXTURE, join(folder, 'a b'), { recursive: true });
    server.add('main', 's', { name: 't', storage_location: `file://${folder}/a%20b/` });
    expect(await current(await (await openUnity(server)).openTable(TABLE))).toEqual({ version: 6n, files: FILES[6] });
  });
});

it.each([
  [
    'a view',
    { table_type: 'VIEW', data_source_format: undefined },
    'NOT_FOUND',
    /has the type VIEW and the format none/,
  ],
  ['an Iceberg table', { data_source_format: 'ICEBERG' }, 'NOT_FOUND', /the format ICEBERG/],
  [
    'a table that may only be browsed',
    { browse_only: true },
    'PERMISSION_DENIED',
    /main\.s\.t may only be browsed: grant/,
  ],
  ['a table without a location', {}, 'FAILED_PRECONDITION', /no storage_location of table main\.s\.t/],
])('%s cannot be opened', async (_, object, code, problem) => {
  server.add('main', 's', { name: 't', ...object });
  await expect((await openUnity(server)).openTable(TABLE)).rejects.toMatchObject({
    code,
    message: expect.stringMatching(problem),
  });
});

it('a table that has become a view is gone, also if it was listed before', async () => {
  const table = server.add('main', 's', { name: 't', storage_location: `file://${FIXTURE}` });
  const upstream = await openUnity(server);
  await upstream.listTables(['s'], { size: 10 });
  Object.assign(table, { table_type: 'VIEW', data_source_format: undefined, view_definition: 'select 1' });
  await upstream.listTables(['s'], { size: 10 });
  await expect(upstream.fingerprint(TABLE)).rejects.toMatchObject({ code: 'NOT_FOUND' });
});

it('a table that does not exist is NOT_FOUND', async () => {
  server.schema('main', 's');
  await expect((await openUnity(server)).openTable(TABLE)).rejects.toMatchObject({ code: 'NOT_FOUND' });
});

describe.each([
  ['/delta/v1', true],
  ['the preview', false],
])('a managed table by %s', (_, hasDeltaApi) => {
  let log: string;
  let table: ReturnType<UnityServer['add']>;
  let state: { latestVersion: number; commits: ReturnType<typeof managedCopy> };

  beforeEach(() => {
    server.hasDeltaApi = hasDeltaApi;
    // Fewer than there are commits.
    server.previewPage = 2;
    const location = join(folder, 't');
    log = join(location, '_delta_log');
    const commits = managedCopy(FIXTURE, location, { published: 2, named: 2 });
    table = server.add('main', 's', {
      name: 't',
      table_type: 'MANAGED',
      storage_location: `file://${location}`,
      properties: { 'delta.feature.catalogManaged': 'supported' },
    });
    state = { latestVersion: 5, commits: commits.filter(({ version }) => version <= 5) };
    server.commits.set(table.table_id, state);
  });

  it('is read with its staged commits, up to the latest version that the catalog has', async () => {
    // Staged, but not ratified; and a published file that is ahead of the catalog.
    cpSync(join(FIXTURE, '_delta_log', commitName(6)), join(log, commitName(6)));
    const reader = await (await openUnity(server)).openTable(TABLE);
    expect(await current(reader)).toEqual({ version: 5n, files: FILES[5] });
    expect([...reader.history()].map(({ snapshotId }) => Number(snapshotId))).toEqual([0, 1, 2, 3, 4, 5]);
  });

  it('names the staged commit that it was read from, and then the published one', async () => {
    const named = async () => {
      const upstream = await openUnity(server);
      const { read } = await readTable(upstream, TABLE);
      const { metadataLocation } = (await upstream.openTable(TABLE)).descriptor;
      expect(read).toBe(`Table s.t can be read: its metadata, and the commit ${metadataLocation}.`);
      return metadataLocation;
    };
    const { fileName = '' } = state.commits.find(({ version }) => version === 5) ?? {};
    expect(await named()).toBe(`file://${join(log, '_staged_commits', fileName)}`);
    renameSync(join(log, '_staged_commits', fileName), join(log, commitName(5)));
    state.commits = state.commits.filter(({ version }) => version !== 5);
    expect(await named()).toBe(`file://${join(log, commitName(5))}`);
  });

  it("is read from the catalog's commit if a version has also been published", async () => {
    writeFileSync(join(log, commitName(2)), 'not a commit');
    expect(await current(await (await openUnity(server)).openTable(TABLE))).toEqual({ version: 5n, files: FILES[5] });
  });

  it('has a fingerprint that changes with the data, at the cost of one request', async () => {
    const upstream = await openUnity(server);
    await upstream.listTables(['s'], { size: 10 });
    const { descriptor } = await upstream.openTable(TABLE);
    await upstream.listTables(['s'], { size: 10 });
    server.taken();
    expect(await upstream.fingerprint(TABLE, descriptor.fingerprint)).toBe(descriptor.fingerprint);
    const requests = server.taken();
    if (hasDeltaApi) expect(requests).toEqual(['GET /delta/v1/catalogs/main/schemas/s/tables/t']);
    else expect(new Set(requests)).toEqual(new Set(['GET /delta/preview/commits']));

    // Publishing a commit changes nothing.
    const staged = join(log, '_staged_commits');
    for (const name of readdirSync(staged)) {
      if (Number(name.slice(0, 20)) <= 5)
        renameSync(join(staged, name), join(log, commitName(Number(name.slice(0, 20)))));
    }
    state.commits = [];
    expect(await upstream.fingerprint(TABLE, descriptor.fingerprint)).toBe(descriptor.fingerprint);

    cpSync(join(FIXTURE, '_delta_log', commitName(6)), join(log, commitName(6)));
    state.latestVersion = 6;
    expect(await upstream.fingerprint(TABLE, descriptor.fingerprint)).not.toBe(descriptor.fingerprint);
    expect(await current(await upstream.openTable(TABLE, async () => stored({ descriptor } as TableReader)))).toEqual({
      version: 6n,
      files: FILES[6],
    });
  });

  it('has another fingerprint if it was dropped and created again with as many versions', async () => {
    const upstream = await openUnity(server);
    const { descriptor } = await upstream.openTable(TABLE);
    table.table_id = '0a1b2c3d-0000-4000-8000-000000000000';
    server.commits.set(table.table_id, state);
    expect(await upstream.fingerprint(TABLE, descriptor.fingerprint)).not.toBe(descriptor.fingerprint);
  });

  it('is read again if its staged commits were published and deleted after the check', async () => {
    const upstream = await openUnity(server);
    await upstream.fingerprint(TABLE);
    const staged = join(log, '_staged_commits');
    for (const name of readdirSync(staged)) {
      const version = Number(name.slice(0, 20));
      if (version <= 5) renameSync(join(staged, name), join(log, commitName(version)));
    }
    state.commits = [];
    expect(await current(await upstream.openTable(TABLE))).toEqual({ version: 5n, files: FILES[5] });
  });

  it('of which nothing has been committed yet has version 0', async () => {
    Object.assign(state, { latestVersion: hasDeltaApi ? 0 : -1, commits: [] });
    expect(await current(await (await openUnity(server)).openTable(TABLE))).toEqual({ version: 0n, files: FILES[0] });
  });

  it('that is not catalog-managed is read from its log', async () => {
    rmSync(join(folder, 't'), { recursive: true });
    cpSync(FIXTURE, join(folder, 't'), { recursive: true });
    table.properties = {};
    server.commits.delete(table.table_id);
    const upstream = await openUnity(server);
    const reader = await upstream.openTable(TABLE);
    expect(await current(reader)).toEqual({ version: 6n, files: FILES[6] });
    expect(await upstream.fingerprint(TABLE, reader.descriptor.fingerprint)).toBe(reader.descriptor.fingerprint);
  });

  it('is DATA_LOSS if a commit has no name of a file', async () => {
    state.commits = state.commits.map((commit) => ({ ...commit, fileName: '../../x' }));
    await expect((await openUnity(server)).openTable(TABLE)).rejects.toMatchObject({
      code: 'DATA_LOSS',
      message: expect.stringMatching(/file.name.* should be the name of a file but is "\.\.\/\.\.\/x"/),
    });
  });
});

it('a managed table of a server that has neither API is read from its log, and only once asked for the preview', async () => {
  server.hasDeltaApi = false;
  server.hasPreview = false;
  for (const name of ['t', 'u']) {
    cpSync(FIXTURE, join(folder, name), { recursive: true });
    server.add('main', 's', { name, table_type: 'MANAGED', storage_location: `file://${folder}/${name}` });
  }
  const upstream = await openUnity(server);
  for (const name of ['t', 'u']) {
    expect(await current(await upstream.openTable({ ...TABLE, name }))).toEqual({ version: 6n, files: FILES[6] });
  }
  expect(server.taken().filter((request) => request.includes('delta'))).toEqual([
    'GET /delta/v1/config',
    'GET /delta/preview/commits',
  ]);
});

it('a managed table that the Delta API does not serve is read from its log', async () => {
  cpSync(FIXTURE, join(folder, 't'), { recursive: true });
  server.add('main', 's', { name: 't', table_type: 'MANAGED', storage_location: `file://${folder}/t` });
  server.intercept = ({ path }, response) => {
    if (!path.endsWith('/tables/t') || !path.includes('/delta/v1/')) return false;
    respondWithJson(response, { error: { message: 'no', type: 'UnsupportedTableFormatException', code: 400 } }, 400);
    return true;
  };
  expect(await current(await (await openUnity(server)).openTable(TABLE))).toEqual({ version: 6n, files: FILES[6] });
});
