import { cpSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { JobState } from '../../../src/generated/reconciler/v1/jobs.ts';
import { respondWithJson } from '../../connectors/rest/fake-server.ts';
import { loseToken } from '../../connectors/unity/lost-tokens.ts';
import { commitName } from '../../connectors/unity/managed-copy.ts';
import { failure, type UnityServer } from '../../connectors/unity/unity-server.ts';
import { FIXTURE, fixtureVersions, UnityStack } from './unity-stack.ts';

jest.setTimeout(180_000);

let unity: UnityStack;
let server: UnityServer;
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

const SUCCEEDED = JobState.JS_SUCCEEDED;
const FAILED = JobState.JS_FAILED;
const at = (location: string) => ({ storage_location: `file://${location}` });
/** The schemas whose tables were listed since the last call. */
const listedSchemas = () => [
  ...new Set(server.requests.splice(0).flatMap(({ path }) => /tables\?.*schema_name=([^&]+)/.exec(path)?.[1] ?? [])),
];

describe('a job', () => {
  it('takes Delta and UniForm tables and views, and counts other kinds as filtered', async () => {
    server.add('main', 's', { name: 'orders', ...at(FIXTURE) });
    const uniform = { table_type: 'MANAGED', data_source_format: 'DELTA_UNIFORM_ICEBERG' };
    server.add('main', 's', { name: 'uniform', ...uniform, ...at(FIXTURE) });
    server.add('main', 's', { name: 'csv', data_source_format: 'CSV', ...at('/nowhere') });
    server.add('main', 's', { name: 'foreign', table_type: 'FOREIGN' });
    server.add('main', 's', { name: 'stream', table_type: 'STREAMING_TABLE' });
    server.add('main', 's', { name: 'hidden', browse_only: true, ...at('/nowhere') });
    const columns = [
      { name: 'id', type_text: 'bigint', type_json: '"long"', nullable: true },
      { name: 'price', type_text: 'decimal(10,2)', type_json: '"decimal(10,2)"', comment: 'net' },
    ];
    const view = { table_type: 'VIEW', data_source_format: undefined, view_definition: 'select 1' };
    const revenue = server.add('main', 's', { name: 'revenue', ...view, columns });
    server.add('main', 'information_schema', { name: 'tables', ...view });

    const connectorId = await unity.connect('kinds');
    expect(await unity.stack.trigger(connectorId)).toMatchObject({
      state: SUCCEEDED,
      counters: { tablesScanned: 2n, tablesChanged: 2n, tablesFiltered: 4n, viewsChanged: 1n, snapshotsIngested: 14n },
    });
    for (const table of ['orders', 'uniform']) {
      expect(await unity.versions(`kinds.s.${table}`)).toEqual(fixtureVersions(6));
    }
    expect(await unity.cli('table', 'list', 'kinds.s')).toMatch(/^orders +delta v1 +6 .*\n *uniform +delta v1 +6 /m);
    const shown = await unity.cli('view', 'get', 'kinds.s.revenue');
    expect(shown).toMatch(/select 1/);
    expect(shown).toMatch(/price +decimal\(10, ?2\)/);
    expect(await unity.stack.cli('table', 'get', 'kinds.information_schema.tables')).toMatchObject({ code: 1 });

    expect(await unity.stack.trigger(connectorId)).toMatchObject({
      state: SUCCEEDED,
      counters: { tablesChanged: 0n, tablesUnchanged: 2n, tablesFiltered: 4n, viewsChanged: 0n },
    });
    revenue.view_definition = 'select 2';
    expect(await unity.stack.trigger(connectorId)).toMatchObject({ counters: { tablesChanged: 0n, viewsChanged: 1n } });
    expect(await unity.cli('view', 'get', 'kinds.s.revenue')).toMatch(/select 2/);
  });

  it('lists only the schemas that its patterns include, of all catalogs', async () => {
    for (const [catalog, schema] of [
      ['main', 'sales'],
      ['main', 'tmp'],
      ['other', 'sales'],
    ] as const) {
      server.add(catalog, schema, { name: 'orders', ...at(FIXTURE) });
      server.add(catalog, schema, { name: 'old_orders', ...at(FIXTURE) });
    }
    server.add('shared', 'sales', { name: 'orders', ...at('/nowhere') });
    server.catalogTypes.set('shared', 'DELTASHARING_CATALOG');
    const source = { includeNamespaces: ['*.sales'], excludeTables: ['**.old_*'] };
    const job = await unity.stack.trigger(await unity.connect('pruned', { catalog: '' }, { source }));
    expect(listedSchemas()).toEqual(['sales']);
    expect(job).toMatchObject({ state: SUCCEEDED, counters: { tablesScanned: 2n, tablesFiltered: 2n } });
    for (const catalog of ['main', 'other']) {
      expect(await unity.versions(`pruned.${catalog}.sales.orders`)).toEqual(fixtureVersions(6));
    }
  });

  it('waits as long as a 429 requests, and continues', async () => {
    server.add('main', 's', { name: 'orders', ...at(FIXTURE) });
    const limited: number[] = [];
    let passed = 0;
    server.intercept = ({ path }, response) => {
      if (!path.includes('/tables?')) return false;
      if (limited.length === 2) {
        passed ||= Date.now();
        return false;
      }
      limited.push(Date.now());
      const { json } = failure(429, 'REQUEST_LIMIT_EXCEEDED', 'Too many requests');
      respondWithJson(response, json, 429, { 'retry-after': '1' });
      return true;
    };
    expect(await unity.stack.trigger(await unity.connect('limited'))).toMatchObject({
      state: SUCCEEDED,
      counters: { tablesChanged: 1n },
    });
    // Twice a second, less what a clock may be off.
    expect(passed - (limited[0] as number)).toBeGreaterThan(1_900);
  });

  it('names the catalog that does not exist', async () => {
    const job = await unity.stack.trigger(await unity.connect('misspelled', { catalog: 'mian' }));
    expect(job).toMatchObject({
      state: FAILED,
      message: expect.stringMatching(/^Failed: there is no catalog mian: .* Check the connector's property catalog\.$/),
    });
  });

  it('that the server refuses names the credentials', async () => {
    server.token = 'right';
    const job = await unity.stack.trigger(await unity.connect('refused'));
    expect(job).toMatchObject({ state: FAILED, message: expect.stringMatching(/401 UNAUTHENTICATED/) });
  });
});

describe('1,001 tables', () => {
  const names = Array.from({ length: 1_001 }, (_, i) => `t${String(i).padStart(4, '0')}`);
  let connectorId: string;
  let location: string;
  const addTables = (tables: readonly string[]) => {
    for (const name of tables) server.add('main', 's', { name, table_id: `id-of-${name}`, ...at(location) });
  };

  beforeAll(async () => {
    server = await unity.startServer();
    // The table has one version, because only the number of tables matters here.
    location = join(unity.folder, 'one-version');
    mkdirSync(join(location, '_delta_log'), { recursive: true });
    cpSync(join(FIXTURE, '_delta_log', commitName(0)), join(location, '_delta_log', commitName(0)));
    addTables(names);
    server.hasEmptyPages = true;
    connectorId = await unity.connect('many');
    const job = await unity.stack.trigger(connectorId);
    expect(job).toMatchObject({ state: SUCCEEDED, counters: { tablesChanged: 1_001n, snapshotsIngested: 1_001n } });
    await server[Symbol.asyncDispose]();
  });
  // A server of its own for each test, and so another URI.
  beforeEach(async () => {
    addTables(names);
    await unity.stack.cli('connector', 'update', 'many', '--uri', server.url);
  });

  it('are all there, although pages may be empty', async () => {
    const listed = await unity.cli('table', 'list', 'many.s', '--json');
    const found = listed
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line).name);
    expect(found.sort()).toEqual(names);
  });

  it('are not missing if a page token is lost on the way', async () => {
    loseToken(server, 't0049', null);
    expect(await unity.stack.trigger(connectorId)).toMatchObject({
      state: SUCCEEDED,
      counters: { tablesScanned: 1_001n, tablesUnchanged: 1_001n, tablesMissing: 0n },
    });
  });

  it('are not missing if each page token is lost, and the job says why it failed', async () => {
    loseToken(server, /^t/, 'zzzz');
    const job = await unity.stack.trigger(connectorId);
    expect(job).toMatchObject({ state: FAILED, counters: { tablesMissing: 0n } });
    expect((await unity.failures(job)).join('\n')).toMatch(/UNAVAILABLE: .*a page token may have been lost on the way/);
  });

  it('are not missing if the server repeats a page token', async () => {
    loseToken(server, /^t/, 't0049');
    const job = await unity.stack.trigger(connectorId);
    expect(job).toMatchObject({ state: FAILED, counters: { tablesMissing: 0n } });
    expect((await unity.failures(job)).join('\n')).toMatch(/the listing would never end/);
  });

  it('are missing if they are gone', async () => {
    const tables = server.schema('main', 's');
    tables.splice(500, 1);
    expect(await unity.stack.trigger(connectorId)).toMatchObject({
      state: SUCCEEDED,
      counters: { tablesUnchanged: 1_000n, tablesMissing: 1n },
    });
    expect(await unity.cli('table', 'get', 'many.s.t0500')).toMatch(/missing since/);
  });
});
