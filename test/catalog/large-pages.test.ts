import { fromBinary } from '@bufbuild/protobuf';
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { fieldsOf, resourceOf } from '../../src/catalog/audit/resource-of.ts';
import { readDescriptorSet } from '../../src/catalog/server/descriptor-set.ts';
import { Sqlite } from '../../src/catalog/store/database/sqlite.ts';
import { BindingsDefinition, ObjectKind } from '../../src/generated/reconciler/internal/v1/bindings.ts';
import { IngestionDefinition } from '../../src/generated/reconciler/internal/v1/ingestion.ts';
import { ReconciliationDefinition } from '../../src/generated/reconciler/internal/v1/reconciliation.ts';
import { AuditDefinition } from '../../src/generated/reconciler/v1/audit.ts';
import { CatalogsDefinition } from '../../src/generated/reconciler/v1/catalogs.ts';
import { ConnectorsDefinition } from '../../src/generated/reconciler/v1/connectors.ts';
import { JobChangeKind, JobState, ReconcileJobsDefinition } from '../../src/generated/reconciler/v1/jobs.ts';
import { NamespacesDefinition } from '../../src/generated/reconciler/v1/namespaces.ts';
import { PlansDefinition } from '../../src/generated/reconciler/v1/plans.ts';
import { SchedulesDefinition } from '../../src/generated/reconciler/v1/schedules.ts';
import { SnapshotsDefinition } from '../../src/generated/reconciler/v1/snapshots.ts';
import { TableStatisticsDefinition } from '../../src/generated/reconciler/v1/statistics.ts';
import { TableFormat, TablesDefinition } from '../../src/generated/reconciler/v1/tables.ts';
import { TenantsDefinition } from '../../src/generated/reconciler/v1/tenants.ts';
import { Role, TokensDefinition } from '../../src/generated/reconciler/v1/tokens.ts';
import { ViewsDefinition } from '../../src/generated/reconciler/v1/views.ts';
import { added, TestTable } from './files.ts';
import { connectorSpec, DROPS, failure, refusal, TestCatalog } from './harness.ts';

let catalog: TestCatalog;
beforeAll(async () => {
  catalog = await TestCatalog.start();
});
afterAll(() => catalog[Symbol.asyncDispose]());

const MIB = 1024 * 1024;
const { OBJECT_KIND_VIEW } = ObjectKind;
const format = TableFormat.TABLE_FORMAT_ICEBERG;
const some = (count: number) => Array.from({ length: count }, (_, index) => index);
/** 900 KB in values of at most 64 KiB. */
const large = () => Object.fromEntries(some(15).map((n) => [`p${n}`, 'x'.repeat(60_000)]));

/** Makes more than 4 MiB of what an RPC lists, and returns its request without a page token. */
const RECIPES: Record<string, () => Promise<object>> = {
  async ListAuditEvents() {
    const { namespaceId } = await catalog.namespace();
    // Events of the largest size: of refused calls whose paths of fields do not exist.
    const event = eventOf({
      namespace: { namespaceId, path: ['語'.repeat(1024)] },
      updateMask: some(100).map(() => '語'.repeat(200)),
    });
    const database = new Sqlite(catalog.file);
    const insert =
      database.prepare(`insert into audit_events (at, tenant_id, subject, issuer, roles, method, resource, allowed, code, fields, peer, trace_id)
      values (?, 'default', 'large', '', '[]', '', ?, 0, 'INVALID_ARGUMENT', ?, '', '')`);
    for (const n of some(300)) insert.run(n, event.resource, JSON.stringify(event.fields));
    database.close();
    return { subject: 'large' };
  },
  async ListTokens() {
    // With the largest tokens, a thousand have less than 4 MiB.
    const tokens = await Promise.all(
      some(1100).map((n) =>
        catalog.clients.tokens.createToken({
          subject: `${n}`.padEnd(200, 'ü'),
          roles: [Role.ROLE_READER],
          tenantIds: ['*'],
        }),
      ),
    );
    expect(tokens).toHaveLength(1100);
    return {};
  },
  async ListCatalogs() {
    for (const n of some(6)) {
      await catalog.clients.catalogs.createCatalog({ catalog: { displayName: `large ${n}`, properties: large() } });
    }
    return {};
  },
  async ListNamespaces() {
    const { catalogId } = await catalog.namespace();
    for (const n of some(6)) {
      await catalog.clients.namespaces.createNamespace({
        namespace: { catalogId, path: [`n${n}`], properties: large() },
      });
    }
    return { catalogId };
  },
  async ListTables() {
    const { namespaceId } = await catalog.namespace();
    const properties = { large: 'x'.repeat(3 * MIB) };
    for (const n of some(3)) {
      await catalog.clients.tables.createTable({ table: { namespaceId, name: `t${n}`, format, properties } });
    }
    return { namespaceId };
  },
  async ListTenants() {
    const description = 'ü'.repeat(4096);
    for (const n of some(600)) {
      await catalog.clients.tenants.createTenant({ tenant: { tenantId: `t${n}`, description } });
    }
    return {};
  },
  async ListViews() {
    const { namespaceId } = await catalog.namespace();
    const properties = { large: 'x'.repeat(3 * MIB) };
    for (const n of some(3))
      await catalog.clients.views.createView({ view: { namespaceId, name: `v${n}`, properties } });
    return { namespaceId };
  },
  async ListConnectors() {
    for (const _ of some(6)) {
      await catalog.clients.connectors.createConnector({ connector: connectorSpec({ properties: large() }) });
    }
    return {};
  },
  async ListSchedules() {
    const cron = Array(20).fill(`${Array(490).fill('0').join()} 6 * * *`);
    for (const _ of some(250)) {
      await catalog.clients.connectors.createConnector({
        connector: connectorSpec({ policy: { enabled: true, cron } }),
      });
    }
    return {};
  },
  async ListReconcileJobs() {
    const connectorId = await connector();
    for (const n of some(6)) {
      const job = { jobId: `large-${n}`, connectorId, state: JobState.JS_SUCCEEDED, message: 'x'.repeat(MIB) };
      await catalog.clients.reconciliation.recordJob({ job });
    }
    return { connectorId };
  },
  async ListJobFailures() {
    const job = { jobId: 'fails', connectorId: await connector(), state: JobState.JS_FAILED };
    const failures = some(300).map((n) => ({
      table: `${n}`.padEnd(8000),
      code: 'INTERNAL',
      message: 'x'.repeat(8000),
    }));
    await catalog.clients.reconciliation.recordJob({ job, failures });
    return { jobId: job.jobId };
  },
  async ListJobChanges() {
    const job = { jobId: 'changes', connectorId: await connector(), state: JobState.JS_SUCCEEDED };
    await catalog.clients.reconciliation.recordJob({ job });
    const kind = JobChangeKind.JOB_CHANGE_KIND_TABLE;
    const changes = some(300).map((n) => ({ kind, name: `${n}`.padEnd(8000), reason: 'x'.repeat(8000) }));
    await catalog.clients.reconciliation.recordJobChanges({ jobId: job.jobId, changes });
    return { jobId: job.jobId };
  },
  async ListJobOutcomes() {
    const job = { jobId: 'outcomes', connectorId: await connector(), state: JobState.JS_SUCCEEDED };
    await catalog.clients.reconciliation.recordJob({ job });
    const kind = JobChangeKind.JOB_CHANGE_KIND_TABLE;
    const outcomes = some(300).map((n) => ({ kind, name: `${n}`.padEnd(8000), destination: 'x'.repeat(8000) }));
    await catalog.clients.reconciliation.recordJobOutcomes({ jobId: job.jobId, step: 'one', outcomes });
    return { jobId: job.jobId };
  },
  async ListSnapshots() {
    const table = await TestTable.create(catalog);
    for (const snapshotId of [1, 2, 3]) {
      await table.put({ snapshotId, snapshot: { summary: { large: 'x'.repeat(3 * MIB) } } });
    }
    return { tableId: table.tableId };
  },
  async CompareSnapshots() {
    // The response is the first page of ListSnapshots. No more than a page is sent, even if the snapshots are as expected.
    return { ...(await (RECIPES.ListSnapshots as () => Promise<object>)()), candidateIds: [1n, 2n, 3n] };
  },
  async ListColumnStats() {
    const table = await TestTable.create(catalog);
    await table.put({ snapshotId: 1 });
    async function* requests() {
      const header = { tableId: table.tableId, snapshotId: 1n, idempotencyKey: 'k' };
      yield { request: { $case: 'header' as const, value: header } };
      for (const columnId of [1, 2, 3, 5]) {
        const sketches = [{ type: 't', data: Buffer.alloc(3 * MIB) }];
        yield { request: { $case: 'column' as const, value: { columnId, ndv: { estimate: 1, sketches } } } };
      }
    }
    await catalog.clients.statistics.putColumnStats(requests());
    return { tableId: table.tableId, snapshotId: 1n };
  },
  ListFileColumnStats: () => wideFiles(),
  GetPlan: () => wideFiles(),
  async ListFilesToSketch() {
    const table = await TestTable.create(catalog);
    const changes = some(600).map((n) => added({ filePath: `s3://b/${n}`.padEnd(8000, 'x') }));
    await table.put({ snapshotId: 1, changes, chunk: 100 });
    await catalog.clients.tables.updateTable({
      table: { tableId: table.tableId, currentSnapshotId: 1n },
      updateMask: ['current_snapshot_id'],
    });
    return { tableId: table.tableId, sampleFraction: 1 };
  },
  async ListBindings() {
    const connectorId = await connector();
    const { namespaceId } = await catalog.namespace();
    for (const n of some(300)) {
      await catalog.clients.bindings.ensureView({
        connectorId,
        upstream: { namespacePath: ['fx'], name: `v${n}` },
        fingerprint: 'x'.repeat(16_000),
        view: { namespaceId, name: `v${n}` },
      });
    }
    return { connectorId, kind: OBJECT_KIND_VIEW };
  },
  async DropExpiredSnapshots() {
    const { connectorId } = await catalog.clients.connectors.createConnector({ connector: connectorSpec(DROPS) });
    const { namespaceId } = await catalog.namespace();
    const { bindings, ingestion, snapshots } = catalog.clients;
    for (const n of some(220)) {
      const upstream = { namespacePath: [...Array(8).fill('語'.repeat(1000)), `${n}`], name: 't' };
      const { table } = await bindings.ensureTable({ connectorId, namespaceId, upstream, name: `t${n}`, format });
      const { tableId } = table as { tableId: string };
      await snapshots.createSnapshot({ snapshot: { tableId, snapshotId: 1n } });
      await new TestTable(catalog, { tableId, namespaceId }).send({ snapshotId: 1 });
      await ingestion.expireSnapshots({ tableId, snapshotIds: [1n] });
    }
    return { connectorId, validateOnly: true, expiredFor: {} };
  },
};

/** What the audit keeps of a request. */
const eventOf = (request: object) => ({ resource: resourceOf(request), fields: fieldsOf(request) });

async function connector(): Promise<string> {
  return (await catalog.clients.connectors.createConnector({ connector: connectorSpec() })).connectorId;
}

/** Files with statistics of 3 MiB each. Their texts in pages are as long again. */
async function wideFiles(): Promise<object> {
  const table = await TestTable.create(catalog);
  const bound = Buffer.alloc(1.5 * MIB, 'x');
  const columns = [{ columnId: 2, lowerBound: bound, upperBound: bound }];
  await table.put({
    snapshotId: 1,
    changes: some(4).map((n) => added({ filePath: `s3://b/${n}`, columns })),
    chunk: 1,
  });
  return { tableId: table.tableId, snapshotId: 1n };
}

const DEFINITIONS = [
  ...[BindingsDefinition, IngestionDefinition, ReconciliationDefinition, CatalogsDefinition, ConnectorsDefinition],
  ...[ReconcileJobsDefinition, NamespacesDefinition, PlansDefinition, SchedulesDefinition, SnapshotsDefinition],
  ...[TableStatisticsDefinition, TablesDefinition, TenantsDefinition, TokensDefinition, ViewsDefinition],
  AuditDefinition,
];

interface ListMethod {
  name: string;
  responseType: { encode(message: unknown): { finish(): Uint8Array } };
}

/** Every RPC of the protos whose responses are pages. */
const { file } = fromBinary(FileDescriptorSetSchema, readDescriptorSet() as Uint8Array);
const messages = new Map(
  file.flatMap(({ package: name, messageType }) => messageType.map((message) => [`.${name}.${message.name}`, message])),
);
const LISTS = file
  .flatMap(({ service }) => service)
  .flatMap(({ method }) => method)
  .filter(({ outputType }) => messages.get(outputType)?.field.some((field) => field.name === 'next_page_token'))
  .map(({ name }) => name);

it('every RPC that lists something is tested here', () => {
  expect(LISTS.sort()).toEqual(Object.keys(RECIPES).sort());
});

it.each(LISTS)('%s has pages of about 4 MiB', async (name) => {
  const request = await (RECIPES[name] as () => Promise<object>)();
  const method = DEFINITIONS.map(({ methods }) => methods as unknown as Record<string, ListMethod>)
    .flatMap((methods) => Object.values(methods))
    .find((method) => method.name === name) as ListMethod;
  const client = Object.values(catalog.clients).find((client) => rpcOf(name) in client) as unknown as Record<
    string,
    (request: object) => Promise<{ nextPageToken: string }>
  >;
  const list = (more: object) => (client[rpcOf(name)] as (typeof client)[string])({ ...request, ...more });
  const seen: string[] = [];
  let [pages, pageToken] = [0, ''];
  do {
    const page = await list(name === 'CompareSnapshots' ? {} : { pageSize: 1000, pageToken });
    const [items = []] = Object.values(page).filter(Array.isArray) as unknown as unknown[][];
    const bytes = method.responseType.encode(page).finish().length;
    // A page has at least one item, which may be larger.
    expect(items.length === 1 || bytes < 4.2 * MIB).toBe(true);
    seen.push(
      ...items.map((item) => JSON.stringify(item, (_, value) => (typeof value === 'bigint' ? `${value}` : value))),
    );
    pages += 1;
    pageToken = name === 'CompareSnapshots' ? '' : page.nextPageToken;
    if (name === 'CompareSnapshots') expect(page.nextPageToken).not.toBe('');
  } while (pageToken !== '');
  if (name !== 'CompareSnapshots') expect(pages).toBeGreaterThan(1);
  // Nothing is listed twice, and nothing is left out.
  expect(new Set(seen).size).toBe(seen.length);
  if (name in COUNTS) expect(seen).toHaveLength(COUNTS[name] as number);
});

const COUNTS: Record<string, number> = {
  ListAuditEvents: 300,
  ListTokens: 1100,
  ListNamespaces: 7,
  ListTables: 3,
  ListTenants: 601,
  ListViews: 3,
  ListReconcileJobs: 6,
  ListJobFailures: 300,
  ListJobChanges: 300,
  ListJobOutcomes: 300,
  ListSnapshots: 3,
  ListColumnStats: 4,
  ListFileColumnStats: 4,
  GetPlan: 4,
  ListFilesToSketch: 600,
  ListBindings: 300,
  DropExpiredSnapshots: 220,
};

const rpcOf = (name: string) => name.charAt(0).toLowerCase() + name.slice(1);

it('a catalog, a namespace and a connector have at most 1 MiB', async () => {
  const { catalogs, namespaces, connectors } = catalog.clients;
  const properties = { ...large(), more: 'x'.repeat(60_000), most: 'x'.repeat(60_000), last: 'x'.repeat(60_000) };
  const size = (field: string) => refusal('INVALID_ARGUMENT', `${field}: has 1080`);
  const refused = async (call: Promise<unknown>) => await failure(call);
  expect(await refused(catalogs.createCatalog({ catalog: { displayName: 'c', properties } }))).toMatchObject(
    size('catalog'),
  );
  const { catalogId } = await catalogs.createCatalog({ catalog: { displayName: 'c' } });
  const updated = { catalog: { catalogId, properties }, updateMask: ['properties'] };
  expect(await refused(catalogs.updateCatalog(updated))).toMatchObject(size('catalog'));
  const namespace = { catalogId, path: ['n'], properties };
  expect(await refused(namespaces.createNamespace({ namespace }))).toMatchObject(size('namespace'));
  const connector = connectorSpec({ properties });
  expect(await refused(connectors.createConnector({ connector }))).toMatchObject(size('connector'));
  const target = { $case: 'connector' as const, value: connector };
  expect(await refused(connectors.validateConnector({ target }))).toMatchObject(size('connector'));
});
