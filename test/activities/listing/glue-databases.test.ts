import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { walkFrom, walkTables } from '../../../src/activities/listing/walk-namespaces.ts';
import { reconcileMissing } from '../../../src/activities/reconcile-missing.ts';
import { openGlueCatalog } from '../../../src/connectors/glue/glue-connector.ts';
import { ObjectKind } from '../../../src/generated/reconciler/internal/v1/bindings.ts';
import { TableFormat } from '../../../src/generated/reconciler/v1/tables.ts';
import { connectorSpec, TestCatalog } from '../../catalog/harness.ts';
import { startFakeServer } from '../../connectors/rest/fake-server.ts';
import { plainSpec } from '../../connectors/spec.ts';
import { activityDeps } from '../activity-deps.ts';
import { run, STEP } from '../run-activity.ts';
import { walkOptions } from './walk-options.ts';

/** A database of AWS Glue that cannot be listed fails alone, and none of its tables counts as gone. */

let catalog: TestCatalog;
beforeAll(async () => {
  catalog = await TestCatalog.start();
});
afterAll(() => catalog[Symbol.asyncDispose]());

interface Answer {
  status: number;
  body: string;
}

/** A Glue catalog with the databases `a`, `b` and `c`, whose table is `t`; requests for the tables of `b` get this answer. */
async function glue(answer: Answer, database: object = {}) {
  const server = await startFakeServer(({ headers, body }, response) => {
    const action = String(headers['x-amz-target']).replace(/^AWSGlue\./, '');
    const { DatabaseName } = JSON.parse(body);
    const ok = (json: object): Answer => ({ status: 200, body: JSON.stringify(json) });
    const table = { Name: 't', Parameters: { table_type: 'ICEBERG', metadata_location: 's3://lake/t.metadata.json' } };
    const databases = ['a', 'b', 'c'].map((Name) => (Name === 'b' ? { Name, ...database } : { Name }));
    const list = action === 'GetDatabases' ? { DatabaseList: databases } : { TableList: [table] };
    const { status, body: text } = DatabaseName === 'b' ? answer : ok(list);
    response.writeHead(status, { 'content-type': 'application/x-amz-json-1.1' }).end(text);
  });
  const properties = {
    'glue.region': 'us-east-1',
    'glue.access-key-id': 'AKIA',
    'glue.secret-access-key': 'secret-key',
  };
  const upstream = await openGlueCatalog(
    { ...plainSpec('GLUE', server.url), properties, auth: { scheme: '', headerHints: {}, properties: {} } },
    {},
  );
  return {
    upstream,
    async [Symbol.asyncDispose]() {
      await upstream[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
    },
  };
}

const exception = (name: string, status = 400): Answer => ({
  status,
  body: JSON.stringify({ __type: name, Message: 'no' }),
});

it.each<[string, Answer, code: string, message: RegExp]>([
  [
    'may not be listed',
    exception('AccessDeniedException'),
    'PERMISSION_DENIED',
    /glue:GetTables on database b .*AccessDeniedException: no/,
  ],
  [
    'does not exist, although it is listed',
    exception('EntityNotFoundException'),
    'NOT_FOUND',
    /EntityNotFoundException/,
  ],
  [
    'is federated from a source that is away',
    exception('FederationSourceException'),
    'FAILED_PRECONDITION',
    /check its source/,
  ],
  [
    'has an answer that was cut off',
    { status: 200, body: '{"TableList":[{"Name":"t"' },
    'FAILED_PRECONDITION',
    /unexpected response/,
  ],
  ['has an answer without a list', { status: 200, body: '{}' }, 'FAILED_PRECONDITION', /returned no TableList/],
  ['has the answer of a gateway', { status: 404, body: '<html>Not Found</html>' }, 'NOT_FOUND', /not found/],
])('a database that %s', async (_, answer, code, message) => {
  await using fake = await glue(answer);
  const { upstream } = fake;
  const walked = await walkTables(upstream, walkFrom([]), walkOptions());
  expect(walked.items.map(({ namespace, name }) => [...namespace, name].join('.'))).toEqual(['a.t', 'c.t']);
  expect(walked.refused).toMatchObject([{ path: ['b'], error: { code, message: expect.stringMatching(message) } }]);

  const { bindings, connectors } = catalog.clients;
  const { connectorId } = await connectors.createConnector({ connector: connectorSpec() });
  const { namespaceId } = await catalog.namespace();
  for (const [database, name] of [
    ['a', 't'],
    ['a', 'gone'],
    ['b', 't'],
    ['c', 't'],
  ] as const) {
    const request = { upstream: { namespacePath: [database], name }, format: TableFormat.TABLE_FORMAT_ICEBERG };
    await bindings.ensureTable({ connectorId, namespaceId, name: `${database}_${name}`, ...request });
  }
  const missing = { ...STEP, connectorId, before: 4, refused: true, views: false };
  const { counts } = await run(() => reconcileMissing(activityDeps(catalog, upstream), missing));
  expect(counts.tablesMissing).toBe(1);
  const { bindings: left } = await bindings.listBindings({ connectorId, kind: ObjectKind.OBJECT_KIND_TABLE });
  expect(left.map(({ upstream: of }) => `${of?.namespacePath}.${of?.name}`)).toEqual(['a.t', 'b.t', 'c.t']);
});

it('a link to a database that was dropped says so', async () => {
  const TargetDatabase = { CatalogId: '999988887777', DatabaseName: 'sales' };
  await using fake = await glue(exception('EntityNotFoundException'), { TargetDatabase });
  const { refused } = await walkTables(fake.upstream, walkFrom([]), walkOptions());
  expect(refused[0]?.error.message).toMatch(
    /b is a resource link to database sales of catalog 999988887777, which was dropped or is no longer shared: restore it, delete the link, or exclude the namespace\.$/,
  );
});
