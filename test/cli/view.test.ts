import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { ObjectKind } from '../../src/generated/reconciler/internal/v1/bindings.ts';
import { ConnectorKind } from '../../src/generated/reconciler/v1/connectors.ts';
import { type JobCounters, JobState } from '../../src/generated/reconciler/v1/jobs.ts';
import { type Harness, startHarness } from './harness.ts';

const SQL = "SELECT id,\n\tcity\nFROM orders -- \u001b[31mred\r\nWHERE city <> 'x'\n";
const SCHEMA = {
  schemaId: 2,
  json: JSON.stringify({
    type: 'struct',
    'schema-id': 2,
    fields: [
      { id: 1, name: 'id', required: true, type: 'long' },
      { id: 2, name: 'city', required: false, type: 'string' },
    ],
  }),
};

let cli: Harness;
beforeAll(async () => {
  cli = await startHarness();
  const { bindings, catalogs, connectors, namespaces, views, tables } = cli.clients;
  const { catalogId } = await catalogs.createCatalog({ catalog: { displayName: 'main' } });
  const { namespaceId } = await namespaces.createNamespace({ namespace: { catalogId, path: ['my ns'] } });
  await namespaces.createNamespace({ namespace: { catalogId, path: ['none'] } });
  await tables.createTable({ table: { namespaceId, name: 'orders' } });
  const { connectorId } = await connectors.createConnector({
    connector: { displayName: 'lake', kind: ConnectorKind.CONNECTOR_KIND_ICEBERG, uri: 'https://lake.example.com/' },
  });
  const { viewId } = await bindings.ensureView({
    connectorId,
    upstream: { namespacePath: ['sales'], name: 'in_paris' },
    view: {
      namespaceId,
      name: 'in_paris',
      versionId: 7,
      schema: SCHEMA,
      representations: [
        { dialect: 'spark', sql: SQL },
        { dialect: 'trino', sql: 'SELECT 1' },
      ],
      defaultCatalog: 'lake',
      defaultNamespace: ['my ns'],
      properties: { owner: 'ann', note: 'n' },
    },
  });
  await bindings.markMissing({ connectorId, kind: ObjectKind.OBJECT_KIND_VIEW, objectIds: [viewId] });
  await views.createView({ view: { namespaceId, name: 'bare' } });
});
afterAll(async () => cli[Symbol.asyncDispose]());

describe('view list', () => {
  it('lists the views of a namespace', async () => {
    const listed = await cli.run('view', 'list', 'main."my ns"');
    expect(listed).toMatchObject({ code: 0, stderr: '' });
    const [head, ...rows] = listed.stdout.trimEnd().split('\n');
    expect(head).toMatch(/^VIEW +VERSION +DIALECTS +UPDATED +UPSTREAM +COLUMNS$/);
    expect(rows).toEqual([
      expect.stringMatching(/^bare +0 +\d{4}-\S+Z +present$/),
      expect.stringMatching(/^in_paris +7 +spark, trino +\d{4}-\S+Z +missing since \d{4}-\S+Z +id, city$/),
    ]);
    const { json } = await cli.run('view', 'list', 'main."my ns"', '--json');
    expect(json).toMatchObject([{ name: 'bare' }, { name: 'in_paris', representations: [{ sql: SQL }, {}] }]);
    expect((await cli.run('view', 'list', 'main."my ns"', '--limit', '1', '--json')).json).toHaveLength(1);
  });

  it('reports that there are no views', async () => {
    expect(await cli.run('view', 'list', 'main.none')).toMatchObject({
      code: 0,
      stdout: '',
      stderr: 'no views\n',
    });
  });
});

describe('view get', () => {
  it('prints the SQL of every dialect line by line, with control characters escaped', async () => {
    const { code, stdout } = await cli.run('view', 'get', 'main."my ns".in_paris');
    expect(code).toBe(0);
    expect(stdout).toMatch(/^view +"my ns"\.in_paris$/m);
    expect(stdout).toMatch(/^version +7$/m);
    expect(stdout).toMatch(/^default catalog +lake$/m);
    expect(stdout).toMatch(/^default namespace +"my ns"$/m);
    expect(stdout).toMatch(/^properties +note=n, owner=ann$/m);
    expect(stdout).toMatch(/^upstream +sales\.in_paris$/m);
    expect(stdout).toMatch(/^missing since +\d{4}-\S+Z$/m);
    expect(stdout).toContain('\n     1  id  long\n     2  city  string\n');
    expect(stdout).toContain(
      "\nSQL (spark)\n  SELECT id,\n      city\n  FROM orders -- \\x1b[31mred\n  WHERE city <> 'x'\n\nSQL (trino)\n  SELECT 1\n",
    );
  });

  it('prints the whole view as JSON', async () => {
    const { json } = await cli.run('view', 'get', 'main."my ns".in_paris', '--json');
    expect(json).toMatchObject([
      { name: 'in_paris', versionId: 7, representations: [{ sql: SQL }, { dialect: 'trino' }] },
    ]);
  });

  it('distinguishes tables from views', async () => {
    expect(await cli.run('view', 'get', 'main."my ns".orders')).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/is a table, not a view\nhint: `reconciler table get 'main\."my ns"\.orders'`/),
    });
    expect(await cli.run('table', 'get', 'main."my ns".bare')).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/is a view, not a table\nhint: `reconciler view get/),
    });
    expect(await cli.run('view', 'get', 'main.bare')).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('catalog.namespace.view'),
    });
    expect((await cli.run('view', 'get', 'main."my ns".nope')).stderr).toContain('does not exist');
  });
});

describe('job get', () => {
  it('counts views if there were any', async () => {
    const record = (jobId: string, views: Partial<JobCounters>) =>
      cli.clients.reconciliation.recordJob({
        job: { jobId, state: JobState.JS_SUCCEEDED, counters: { tablesScanned: 1n, ...views } },
      });
    await record('with', { viewsScanned: 3n, viewsChanged: 2n, viewsMissing: 1n });
    await record('without', {});
    expect((await cli.run('job', 'get', 'with')).stdout).toMatch(/^views +3 scanned, 2 changed, 1 missing$/m);
    expect((await cli.run('job', 'get', 'without')).stdout).not.toMatch(/^views/m);
  });
});
