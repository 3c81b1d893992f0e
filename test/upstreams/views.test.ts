import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { DefaultLogger, Runtime, Worker } from '@temporalio/worker';
import { JobState, type ReconcileJob } from '../../src/generated/reconciler/v1/jobs.ts';
import type { View } from '../../src/generated/reconciler/v1/views.ts';
import { ROOT, RunningStack } from '../integration/stack/running-stack.ts';
import { CleanUp } from './clean-up.ts';
import { changed, type FaultProxy, refuse, startFaultProxy } from './fault-proxy.ts';
import { RestViews } from './rest/rest-views.ts';
import { connectorS3 } from './s3/s3-properties.ts';
import { startIcebergRest } from './servers/iceberg-rest.ts';
import { startMoto } from './servers/moto.ts';
import { startNessie } from './servers/nessie.ts';

describe("views of Iceberg's REST server", () => {
  const cleanUp = new CleanUp();
  let rest: RestViews;
  let proxy: FaultProxy;
  let stack: RunningStack;
  let connectorId: string;

  beforeAll(async () => {
    const folder = mkdtempSync(join(tmpdir(), 'reconciler-views-'));
    cleanUp.defer(() => rmSync(folder, { recursive: true }));
    const server = cleanUp.use(await startIcebergRest({ warehouse: `file://${folder}` }));
    rest = new RestViews(server.url);
    await rest.namespace('sales');
    await rest.namespace('sales', 'eu');
    await rest.namespace('only_views');
    await rest.table('sales', 'orders');
    await rest.view('sales', 'large', {
      spark: 'SELECT id FROM orders WHERE total > 100',
      trino: 'SELECT id\nFROM "orders"\nWHERE total > 100',
    });
    await rest.view('sales', 'plain', { spark: 'SELECT 1' });
    await rest.view('sales', 'to_rename', { spark: 'SELECT 2' });
    await rest.view('sales', 'to_drop', { spark: 'SELECT 3' });
    await rest.view('sales.eu', 'deep', { trino: 'SELECT 4' });
    await rest.view('only_views', 'v', { spark: 'SELECT 5' });
    stack = cleanUp.use(await RunningStack.start());
    proxy = cleanUp.use(await startFaultProxy(server.url));
    connectorId = await stack.connect('lake', '', { uri: proxy.url, policy: { missing: { maxShare: 1 } } });
  });
  afterAll(() => cleanUp[Symbol.asyncDispose]());

  async function view(name: string): Promise<View> {
    const { viewId } = await stack.catalog.directory.resolve({
      name: { $case: 'text', value: `lake.${name}` },
      object: true,
    });
    expect(viewId).not.toBe('');
    return stack.catalog.views.getView({ viewId });
  }

  const every = ['sales.large', 'sales.plain', 'sales.to_drop', 'sales.to_rename', 'sales.eu.deep', 'only_views.v'];

  it('are ingested with the tables', async () => {
    const job = await stack.trigger(connectorId);
    expect(job).toMatchObject({
      state: JobState.JS_SUCCEEDED,
      message: '1 table changed, 0 unchanged, 6 views changed',
      counters: { viewsScanned: 6n, viewsChanged: 6n, viewsMissing: 0n, tablesScanned: 1n },
    });
  });

  it.each(every)('include %s as on the server: version, schema, SQL of all dialects, defaults', async (name) => {
    const [namespace, last] = [name.slice(0, name.lastIndexOf('.')), name.slice(name.lastIndexOf('.') + 1)];
    const { metadata } = await rest.load(namespace, last);
    const [version] = metadata.versions;
    const brought = await view(name);
    expect(brought).toMatchObject({
      versionId: metadata['current-version-id'],
      defaultCatalog: version['default-catalog'],
      defaultNamespace: version['default-namespace'],
      properties: metadata.properties,
      upstream: { uuid: metadata['view-uuid'], tableName: last, namespacePath: namespace.split('.') },
    });
    expect(brought.representations).toEqual(
      version.representations.map(({ sql, dialect }: Record<string, string>) => ({ sql, dialect })),
    );
    expect(JSON.parse(brought.schema?.json ?? '')).toEqual(metadata.schemas[0]);
    expect(brought.schema?.columns.map(({ name, type }) => `${name} ${type}`)).toEqual([
      'id long',
      'address.city string',
    ]);
  });

  it('can be read with the CLI', async () => {
    const listed = await stack.cli('view', 'list', 'lake.sales', '--json');
    expect(
      listed.stdout
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line).name),
    ).toEqual(['large', 'plain', 'to_drop', 'to_rename']);
    const { stdout } = await stack.cli('view', 'get', 'lake.sales.large');
    expect(stdout).toContain('SQL (trino)\n  SELECT id\n  FROM "orders"\n  WHERE total > 100\n');
  });

  it('cause no writes if nothing has changed', async () => {
    const before = await Promise.all(every.map(view));
    const job = await stack.trigger(connectorId);
    expect(job).toMatchObject({
      state: JobState.JS_SUCCEEDED,
      message: 'Nothing changed: 1 table, 6 views',
      counters: { viewsScanned: 6n, viewsChanged: 0n },
    });
    expect(await Promise.all(every.map(view))).toEqual(before);
  });

  it('are replaced, renamed, dropped and altered like tables', async () => {
    const renamed = await view('sales.to_rename');
    const sql = 'SELECT id FROM orders WHERE total > 200';
    await rest.replaceView('sales', 'large', { trino: sql, duckdb: sql, spark: sql });
    await rest.renameView('sales', 'to_rename', 'renamed');
    await rest.dropView('sales', 'to_drop');
    await rest.setProperty('sales', 'plain', 'owner', 'ann');
    expect(await stack.trigger(connectorId)).toMatchObject({
      state: JobState.JS_SUCCEEDED,
      counters: { viewsScanned: 5n, viewsChanged: 3n, viewsMissing: 2n },
    });
    expect(await view('sales.large')).toMatchObject({
      versionId: 2,
      representations: ['trino', 'duckdb', 'spark'].map((dialect) => ({ dialect, sql })),
    });
    expect(await view('sales.renamed')).toMatchObject({ upstream: { uuid: renamed.upstream?.uuid } });
    expect((await view('sales.plain')).properties).toMatchObject({ owner: 'ann' });
    for (const name of ['sales.to_rename', 'sales.to_drop']) {
      expect((await view(name)).upstream?.missingSince).toBeInstanceOf(Date);
    }
    const { stdout } = await stack.cli('view', 'list', 'lake.sales');
    expect(stdout).toMatch(/^to_drop .* missing since /m);
  });

  it('keep their ids when they reappear', async () => {
    const { viewId } = await view('sales.to_drop');
    await rest.view('sales', 'to_drop', { spark: 'SELECT 33' });
    expect(await stack.trigger(connectorId)).toMatchObject({ counters: { viewsChanged: 1n, viewsMissing: 0n } });
    expect(await view('sales.to_drop')).toMatchObject({
      viewId,
      representations: [{ sql: 'SELECT 33' }],
      upstream: { missingSince: undefined },
    });
  });

  it('do not count as missing after a narrowed run', async () => {
    await rest.dropView('sales', 'to_drop');
    const narrowed = await stack.trigger(connectorId, { destinationNamespacePaths: ['sales'] });
    expect(narrowed).toMatchObject({ state: JobState.JS_SUCCEEDED, counters: { viewsScanned: 3n, viewsMissing: 0n } });
    const oneTable = await stack.trigger(connectorId, { destinationTableName: 'orders' });
    expect(oneTable).toMatchObject({ state: JobState.JS_SUCCEEDED, counters: { tablesScanned: 1n, viewsScanned: 0n } });
    expect((await view('sales.to_drop')).upstream?.missingSince).toBeUndefined();
    const onlyViews = await stack.trigger(connectorId, { destinationNamespacePaths: ['only_views'] });
    expect(onlyViews).toMatchObject({
      state: JobState.JS_SUCCEEDED,
      counters: { tablesScanned: 0n, viewsScanned: 1n },
    });
    expect(await stack.trigger(connectorId)).toMatchObject({ counters: { viewsMissing: 1n } });
  });

  it('can replace a table of the same name, and be replaced by it again', async () => {
    await rest.dropTable('sales', 'orders');
    await rest.view('sales', 'orders', { spark: 'SELECT * FROM orders_v2' });
    await rest.dropView('sales', 'plain');
    await rest.table('sales', 'plain');
    expect(await stack.trigger(connectorId)).toMatchObject({
      state: JobState.JS_SUCCEEDED,
      counters: { tablesChanged: 1n, viewsChanged: 1n, errors: 0n, tablesMissing: 0n, viewsMissing: 0n },
    });
    expect((await view('sales.orders')).representations).toEqual([
      { dialect: 'spark', sql: 'SELECT * FROM orders_v2' },
    ]);
    expect(await stack.tableId('lake.sales.plain')).toMatch(/^tbl_/);

    await rest.dropView('sales', 'orders');
    await rest.table('sales', 'orders');
    expect(await stack.trigger(connectorId)).toMatchObject({
      state: JobState.JS_SUCCEEDED,
      counters: { tablesChanged: 1n },
    });
    expect(await stack.tableId('lake.sales.orders')).toMatch(/^tbl_/);
  });

  it('fail individually: the others are ingested, and the failed one is named', async () => {
    await rest.view('sales', 'broken', { spark: 'SELECT 6' });
    await rest.view('sales', 'good', { spark: 'SELECT 7' });
    const { 'metadata-location': file } = await rest.load('sales', 'broken');
    rmSync(fileURLToPath(file));
    const job = await stack.trigger(connectorId);
    expect(job).toMatchObject({ state: JobState.JS_FAILED, counters: { errors: 1n, viewsChanged: 1n } });
    expect(job.message).toMatch(/^Partial failure \(1\): view sales\.broken: /);
    expect(await stack.failures(job.jobId)).toMatchObject([{ table: 'view sales.broken', code: 'NOT_FOUND' }]);
    expect((await view('sales.good')).representations).toEqual([{ dialect: 'spark', sql: 'SELECT 7' }]);
    await rest.dropView('sales', 'broken');
  });

  describe('when the catalog has faults', () => {
    const listing = /\/namespaces\/sales\/views(\?|$)/;
    let turn = 0;
    // The server's page tokens are positions in its list.
    const round = changed((json) => {
      turn = (turn + 1) % 3;
      return { ...json, 'next-page-token': String(turn) };
    });

    afterEach(() => {
      proxy.rules = [];
    });

    it.each([
      [
        'is refused',
        refuse(403, 'ForbiddenException'),
        'views of sales',
        'PERMISSION_DENIED',
        /views.*from the test's proxy/,
      ],
      [
        'has pages that repeat forever',
        round,
        'views',
        'DATA_LOSS',
        /repeats its pages when it lists the views of namespace sales/,
      ],
    ])('a listing that %s fails only the views, and marks none as missing', async (_, fault, label, code, message) => {
      proxy.rules = [{ path: listing, fault }];
      const name = `t${code.length}`;
      await rest.table('sales', name);
      const job = await stack.trigger(connectorId);
      expect(job).toMatchObject({
        state: JobState.JS_FAILED,
        counters: { tablesChanged: 1n, errors: 1n, viewsMissing: 0n },
      });
      expect(job.message).toMatch(`Partial failure (1): ${label}: `);
      const [failure] = await stack.failures(job.jobId);
      expect(failure).toMatchObject({ table: label, code, message: expect.stringMatching(message) });
      expect(await stack.tableId(`lake.sales.${name}`)).toMatch(/^tbl_/);
      expect((await view('sales.large')).upstream?.missingSince).toBeUndefined();
    });

    it('a view that is refused fails alone, and one that is throttled is ingested', async () => {
      proxy.rules = [
        { path: /views\/large/, fault: refuse(403, 'ForbiddenException') },
        {
          path: /views\/good/,
          hits: (n) => n <= 2,
          fault: refuse(503, 'ServiceUnavailableException', { 'retry-after': '1' }),
        },
      ];
      await rest.replaceView('sales', 'good', { spark: 'SELECT 77' });
      const job = await stack.trigger(connectorId);
      expect(job).toMatchObject({ state: JobState.JS_FAILED, counters: { errors: 1n, viewsChanged: 1n } });
      expect(await stack.failures(job.jobId)).toMatchObject([{ table: 'view sales.large', code: 'PERMISSION_DENIED' }]);
      expect((await view('sales.good')).representations).toEqual([{ dialect: 'spark', sql: 'SELECT 77' }]);
    });

    it('a retry ingests only the failed view, once it is repaired', async () => {
      proxy.rules = [{ path: /views\/large/, fault: refuse(403, 'ForbiddenException') }];
      const sql = 'SELECT 8';
      await rest.replaceView('sales', 'large', { trino: sql, duckdb: sql, spark: sql });
      const job = await stack.trigger(connectorId);
      expect(job).toMatchObject({ state: JobState.JS_FAILED, counters: { errors: 1n, viewsChanged: 0n } });
      proxy.rules = [];
      // The retry must not ingest this change.
      await rest.replaceView('sales', 'good', { spark: 'SELECT 777' });
      const { code, stdout } = await stack.cli('job', 'retry', job.jobId, '--wait', '--json');
      expect(code).toBe(0);
      expect(JSON.parse(stdout)).toMatchObject({
        state: 'JS_SUCCEEDED',
        retryOfJobId: job.jobId,
        tablesScanned: '0',
        viewsScanned: '1',
        viewsChanged: '1',
      });
      expect((await view('sales.large')).representations).toContainEqual({ dialect: 'trino', sql });
      expect((await view('sales.good')).representations).toEqual([{ dialect: 'spark', sql: 'SELECT 77' }]);
      expect(await stack.trigger(connectorId)).toMatchObject({
        state: JobState.JS_SUCCEEDED,
        counters: { viewsChanged: 1n },
      });
    });
  });

  it('leave histories that replay', async () => {
    Runtime.install({ logger: new DefaultLogger('ERROR') });
    const { jobs } = await stack.catalog.jobs.listReconcileJobs({ connectorId, pageSize: 1000 });
    const codePath = join(ROOT, 'dist/workflow-bundle.js');
    for (const { jobId } of jobs satisfies ReconcileJob[]) {
      const history = await stack.temporal.workflow.getHandle(jobId).fetchHistory();
      await Worker.runReplayHistory({ workflowBundle: { codePath } }, history, jobId);
      expect(history.events?.length).toBeLessThan(100);
    }
  });
});

it("ingests views of Nessie, which does not list its endpoints, if the connector's properties declare them", async () => {
  await using cleanUp = new CleanUp();
  const moto = cleanUp.use(await startMoto());
  await moto.createBucket('lake');
  const nessie = cleanUp.use(await startNessie({ warehouse: 's3://lake/nessie', s3: moto }));
  const rest = new RestViews(nessie.restUrl, 'main');
  await rest.namespace('sales');
  await rest.view('sales', 'v', { spark: 'SELECT 1', trino: 'SELECT 2' });
  await rest.view('sales', 'w', { trino: 'SELECT 3' });
  const stack = cleanUp.use(await RunningStack.start(moto.env));
  const properties = { ...connectorS3(moto), 'view-endpoints-supported': 'true' };
  const connectorId = await stack.connect('nessie', '', { uri: nessie.restUrl, properties });
  const first = await stack.trigger(connectorId);
  expect(first).toMatchObject({ state: JobState.JS_SUCCEEDED, counters: { viewsScanned: 2n, viewsChanged: 2n } });
  const get = async () => {
    const { stdout } = await stack.cli('view', 'get', 'nessie.sales.v', '--json');
    return JSON.parse(stdout);
  };
  const before = await get();
  expect(before.representations).toEqual([
    { sql: 'SELECT 1', dialect: 'spark' },
    { sql: 'SELECT 2', dialect: 'trino' },
  ]);
  expect(await stack.trigger(connectorId)).toMatchObject({
    state: JobState.JS_SUCCEEDED,
    counters: { viewsChanged: 0n },
  });
  expect(await get()).toEqual(before);
  await rest.replaceView('sales', 'v', { spark: 'SELECT 11', trino: 'SELECT 22' });
  expect(await stack.trigger(connectorId)).toMatchObject({
    state: JobState.JS_SUCCEEDED,
    counters: { viewsChanged: 1n },
  });
  expect((await get()).representations).toMatchObject([{ sql: 'SELECT 11' }, { sql: 'SELECT 22' }]);
}, 300_000);
