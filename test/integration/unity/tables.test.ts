import { cpSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { JobState } from '../../../src/generated/reconciler/v1/jobs.ts';
import { commitName, managedCopy } from '../../connectors/unity/managed-copy.ts';
import type { UnityCommit, UnityObject, UnityServer } from '../../connectors/unity/unity-server.ts';
import { ROOT } from '../stack/running-stack.ts';
import { FIXTURE, fixtureVersions, UnityStack } from './unity-stack.ts';

jest.setTimeout(120_000);

/** Written by delta-rs 1.6.6: versions 0 to 5. */
const OTHER = join(ROOT, 'test/fixtures/delta/rs_checkpoint');
const SUCCEEDED = JobState.JS_SUCCEEDED;

let unity: UnityStack;
let server: UnityServer;
let made = 0;
beforeAll(async () => {
  unity = await UnityStack.start();
});
afterAll(async () => {
  await unity?.[Symbol.asyncDispose]();
});
beforeEach(async () => {
  server = await unity.startServer();
});
afterEach(() => server[Symbol.asyncDispose]());

/** A folder of this test's own. */
const newFolder = () => join(unity.folder, `table-${made++}`);
const at = (folder: string) => ({ storage_location: `file://${folder}` });
const versionsOf = async (name: string) => (await unity.versions(name)).map(([version]) => version);

describe.each([
  ['/delta/v1', 'v1', true],
  ['the preview', 'preview', false],
])('a managed table by %s', (_, name, hasDeltaApi) => {
  let location: string;
  let commits: UnityCommit[];
  let table: UnityObject;

  /** The latest version that the catalog has. */
  const ratify = (latestVersion: number) => {
    const known = commits.filter(({ version }) => version <= latestVersion);
    server.commits.set(table.table_id, { latestVersion, commits: known });
  };
  beforeEach(() => {
    server.hasDeltaApi = hasDeltaApi;
    // Fewer than there are commits.
    server.previewPage = 2;
    location = newFolder();
    commits = managedCopy(FIXTURE, location, { published: 2, named: 2 });
    table = server.add('main', 's', {
      name: 'orders',
      table_type: 'MANAGED',
      ...at(location),
      properties: { 'delta.feature.catalogManaged': 'supported' },
    });
    ratify(4);
  });

  it('has the versions that the catalog has ratified, and then the new ones', async () => {
    const connectorId = await unity.connect(name);
    expect(await unity.stack.trigger(connectorId)).toMatchObject({
      state: SUCCEEDED,
      counters: { tablesChanged: 1n, snapshotsIngested: 5n },
    });
    expect(await unity.versions(`${name}.s.orders`)).toEqual(fixtureVersions(4));
    const shown = await unity.cli('table', 'get', `${name}.s.orders`);
    expect(shown).toMatch(/^snapshot +4$/m);

    expect(await unity.stack.trigger(connectorId)).toMatchObject({ counters: { tablesUnchanged: 1n } });
    ratify(6);
    const next = await unity.stack.trigger(connectorId);
    expect(next).toMatchObject({ state: SUCCEEDED, counters: { tablesChanged: 1n, snapshotsIngested: 2n } });
    expect(await unity.versions(`${name}.s.orders`)).toEqual(fixtureVersions(6));

    // The commits are published: the catalog forgets them, and the table is the same.
    for (const { version, fileName } of commits) {
      cpSync(join(location, '_delta_log/_staged_commits', fileName), join(location, '_delta_log', commitName(version)));
    }
    rmSync(join(location, '_delta_log/_staged_commits'), { recursive: true });
    server.commits.set(table.table_id, { latestVersion: 6, commits: [] });
    expect(await unity.stack.trigger(connectorId)).toMatchObject({ counters: { tablesUnchanged: 1n } });
    expect(await unity.stack.trigger(connectorId, { full: true })).toMatchObject({
      state: SUCCEEDED,
      counters: { errors: 0n },
    });
    expect(await unity.versions(`${name}.s.orders`)).toEqual(fixtureVersions(6));
  });

  it('that only the catalog may commit to fails if the catalog has no API for that', async () => {
    Object.assign(server, { hasDeltaApi: false, hasPreview: false });
    const job = await unity.stack.trigger(await unity.connect(`${name}-without`));
    expect(await unity.failures(job)).toEqual([
      expect.stringMatching(/^s\.orders: UNIMPLEMENTED: .*s\.orders.*catalog/),
    ]);
  });
});

describe('a table that was', () => {
  it('dropped and created again under its name is another one', async () => {
    const folder = newFolder();
    cpSync(FIXTURE, folder, { recursive: true });
    const first = server.add('main', 's', { name: 'orders', ...at(folder) });
    const connectorId = await unity.connect('again');
    await unity.stack.trigger(connectorId);
    expect(await unity.versions('again.s.orders')).toEqual(fixtureVersions(6));
    const before = await unity.cli('table', 'get', 'again.s.orders', '--json');
    expect(before).toContain(first.table_id);

    // At the same place, with fewer versions.
    rmSync(folder, { recursive: true });
    cpSync(OTHER, folder, { recursive: true });
    server.schema('main', 's').length = 0;
    const second = server.add('main', 's', { name: 'orders', ...at(folder) });
    expect(await unity.stack.trigger(connectorId)).toMatchObject({
      state: SUCCEEDED,
      counters: { tablesChanged: 1n, tablesMissing: 0n },
    });
    expect(await versionsOf('again.s.orders')).toEqual([0, 1, 2, 3, 4, 5]);
    const after = await unity.cli('table', 'get', 'again.s.orders', '--json');
    expect(after).toContain(second.table_id);
    expect(after).not.toContain(first.table_id);
    expect(await unity.stack.trigger(connectorId)).toMatchObject({ counters: { tablesUnchanged: 1n } });
  });

  it('dropped and created again with the same versions is another one', async () => {
    const [folder, elsewhere] = [newFolder(), newFolder()];
    cpSync(FIXTURE, folder, { recursive: true });
    cpSync(FIXTURE, elsewhere, { recursive: true });
    server.add('main', 's', { name: 'orders', ...at(folder) });
    const connectorId = await unity.connect('alike');
    await unity.stack.trigger(connectorId);
    server.schema('main', 's').length = 0;
    const second = server.add('main', 's', { name: 'orders', ...at(elsewhere) });
    expect(await unity.stack.trigger(connectorId)).toMatchObject({ state: SUCCEEDED, counters: { tablesChanged: 1n } });
    expect(await unity.cli('table', 'get', 'alike.s.orders', '--json')).toContain(second.table_id);
    const plan = await unity.cli('plan', 'get', 'alike.s.orders', '--json');
    expect(plan).toContain(elsewhere);
    expect(plan).not.toContain(`${folder}/`);
    expect(await unity.versions('alike.s.orders')).toEqual(fixtureVersions(6));
  });

  it('dropped and registered again where it is, is another one with the same versions', async () => {
    const first = server.add('main', 's', { name: 'orders', ...at(FIXTURE) });
    const connectorId = await unity.connect('registered');
    await unity.stack.trigger(connectorId);
    server.schema('main', 's').length = 0;
    const second = server.add('main', 's', { name: 'orders', ...at(FIXTURE) });
    expect(await unity.stack.trigger(connectorId)).toMatchObject({ state: SUCCEEDED, counters: { tablesChanged: 1n } });
    const shown = await unity.cli('table', 'get', 'registered.s.orders', '--json');
    expect(shown).toContain(second.table_id);
    expect(shown).not.toContain(first.table_id);
    expect(await unity.versions('registered.s.orders')).toEqual(fixtureVersions(6));
  });

  it('moved by its catalog to another place is the same one, with the files of that place', async () => {
    const [folder, elsewhere] = [newFolder(), newFolder()];
    cpSync(FIXTURE, folder, { recursive: true });
    cpSync(FIXTURE, elsewhere, { recursive: true });
    const table = server.add('main', 's', { name: 'orders', ...at(folder) });
    const connectorId = await unity.connect('moved');
    await unity.stack.trigger(connectorId);
    rmSync(folder, { recursive: true });
    Object.assign(table, at(elsewhere));
    expect(await unity.stack.trigger(connectorId)).toMatchObject({ state: SUCCEEDED });
    const plan = await unity.cli('plan', 'get', 'moved.s.orders', '--json');
    expect(plan).toContain(elsewhere);
    expect(plan).not.toContain(`${folder}/`);
    expect(await unity.versions('moved.s.orders')).toEqual(fixtureVersions(6));
  });

  it('replaced by a view gives way to it', async () => {
    const table = server.add('main', 's', { name: 'orders', ...at(FIXTURE) });
    const connectorId = await unity.connect('viewed');
    await unity.stack.trigger(connectorId);
    Object.assign(table, {
      table_id: 'of-the-view',
      table_type: 'VIEW',
      data_source_format: undefined,
      storage_location: undefined,
      view_definition: 'select 1',
    });
    const job = await unity.stack.trigger(connectorId);
    expect(await unity.failures(job)).toEqual([]);
    expect(job).toMatchObject({ counters: { viewsChanged: 1n } });
    expect(await unity.cli('view', 'get', 'viewed.s.orders')).toMatch(/select 1/);
    expect((await unity.stack.cli('table', 'get', 'viewed.s.orders')).code).not.toBe(0);
  });

  it('dropped after it was listed does not fail as if it were broken', async () => {
    const folder = newFolder();
    cpSync(FIXTURE, folder, { recursive: true });
    server.add('main', 's', { name: 'other', ...at(FIXTURE) });
    server.add('main', 's', { name: 'orders', ...at(folder) });
    server.intercept = ({ path }) => {
      if (path.includes('/tables?')) {
        // After the response.
        setImmediate(() => {
          rmSync(folder, { recursive: true, force: true });
          server.schema('main', 's').splice(1);
        });
      }
      return false;
    };
    const job = await unity.stack.trigger(await unity.connect('dropped'));
    const failures = await unity.failures(job);
    expect(failures.join()).not.toMatch(/DATA_LOSS/);
    expect(failures).toEqual([expect.stringMatching(/^s\.orders: NOT_FOUND: .*Table not found: main\.s\.orders/)]);
    expect(await unity.versions('dropped.s.other')).toEqual(fixtureVersions(6));
  });

  it('broken fails by its name, and the others are taken', async () => {
    server.add('main', 's', { name: 'gone', ...at('/nowhere/at/all') });
    server.add('main', 's', { name: 'orders', ...at(FIXTURE) });
    const job = await unity.stack.trigger(await unity.connect('broken'));
    expect(job).toMatchObject({
      state: JobState.JS_FAILED,
      counters: { tablesChanged: 1n, errors: 1n, tablesMissing: 0n },
    });
    expect(await unity.failures(job)).toEqual([
      expect.stringMatching(/^s\.gone: DATA_LOSS: Unity Catalog has the table main\.s\.gone, but its log is missing: /),
    ]);
    expect(await unity.versions('broken.s.orders')).toEqual(fixtureVersions(6));
  });
});
