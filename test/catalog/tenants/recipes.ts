import { ConnectorKind, ConnectorState } from '../../../src/generated/reconciler/v1/connectors.ts';
import { JobState } from '../../../src/generated/reconciler/v1/jobs.ts';
import { FileContent } from '../../../src/generated/reconciler/v1/statistics.ts';
import { TableFormat } from '../../../src/generated/reconciler/v1/tables.ts';
import { Role } from '../../../src/generated/reconciler/v1/tokens.ts';
import { SCHEMA } from '../files.ts';
import { type Recipe, recipes } from './recipe.ts';
import { PUBLIC, type TestTenant } from './tenant.ts';
import { WORKER_RECIPES } from './worker-recipes.ts';

/** A job whose id no other tenant's job has, and one whose id the same job of each tenant has. */
const ofJob = (more: (t: TestTenant) => object = () => ({})): Recipe[] => [
  async (t) => ({ jobId: (await t.aFailedJob()).jobId, ...more(t) }),
  async (t) => ({ jobId: (await t.aFailedJob(t.name('nightly'))).jobId, ...more(t) }),
];

/** What each RPC is called with. An RPC without a recipe fails the test. */
export const RECIPES: ReadonlyMap<string, readonly Recipe[]> = new Map([
  ...WORKER_RECIPES,
  ...recipes(`${PUBLIC}Audit/`, {
    ListAuditEvents: [
      async (t) => {
        await t.aCatalog();
        return {};
      },
      async (t) => ({ resource: (await t.aCatalog()).catalogId }),
      // The catalogs of both tenants have this name.
      async (t) => ({ resource: (await t.aCatalog()).displayName }),
    ],
  }),
  ...recipes(`${PUBLIC}Catalogs/`, {
    CreateCatalog: [
      async (t) => ({
        catalog: { displayName: t.name('new'), ...t.texts() },
        idempotencyKey: t.name('key'),
      }),
      // The request is repeated.
      async (t) => {
        const request = {
          catalog: { displayName: t.name('new'), ...t.texts() },
          idempotencyKey: t.name('key'),
        };
        await t.admin('Catalogs/CreateCatalog', request);
        return request;
      },
    ],
    GetCatalog: async (t) => ({ catalogId: (await t.aCatalog()).catalogId }),
    ListCatalogs: async (t) => {
      await t.aCatalog();
      return {};
    },
    UpdateCatalog: async (t) => {
      const { catalogId } = await t.aCatalog();
      return { catalog: { catalogId, displayName: t.name('new'), description: t.nonce }, updateMask: ['description'] };
    },
    DeleteCatalog: [
      async (t) => ({ catalogId: (await t.aCatalog()).catalogId }),
      async (t) => ({ catalogId: (await t.aNamespace()).catalogId }),
    ],
  }),
  ...recipes(`${PUBLIC}Connectors/`, {
    CreateConnector: async (t) => {
      const kind = ConnectorKind.CONNECTOR_KIND_ICEBERG;
      const destination = await t.aDestination();
      return {
        connector: {
          displayName: t.name('new'),
          kind,
          source: ONE_TABLE,
          uri: `file:///${t.nonce}`,
          ...t.texts(),
          destination,
        },
        idempotencyKey: t.name('key'),
      };
    },
    GetConnector: [
      async (t) => ({ by: { $case: 'connectorId', value: (await t.aConnector()).connectorId } }),
      async (t) => ({ by: { $case: 'displayName', value: (await t.aConnector()).displayName } }),
    ],
    ListConnectors: async (t) => {
      await t.aConnector();
      return {};
    },
    UpdateConnector: [
      async (t) => {
        const { connectorId } = await t.aConnector();
        const destination = await t.aDestination();
        const updateMask = ['description', 'source', 'destination'];
        return { connector: { connectorId, description: t.nonce, source: ONE_TABLE, destination }, updateMask };
      },
      async (t) => {
        const { connectorId } = await t.aBusyConnector();
        const policy = { taskQueue: 'other' };
        const alerts = { webhookUrl: 'env:HOOK' };
        return { connector: { connectorId, policy, alerts }, updateMask: ['policy.task_queue', 'alerts'] };
      },
      async (t) => {
        const { connectorId } = await t.aConnector();
        return { connector: { connectorId, state: ConnectorState.CONNECTOR_STATE_PAUSED }, updateMask: ['state'] };
      },
    ],
    DeleteConnector: [
      async (t) => {
        const { connectorId, jobId } = await t.aBusyConnector();
        t.catalog.jobs.statuses.set(jobId, 'COMPLETED');
        return { connectorId, deleteContents: true };
      },
      async (t) => {
        const { connectorId, jobId } = await t.aBusyConnector();
        t.catalog.jobs.statuses.set(jobId, 'COMPLETED');
        return { connectorId };
      },
      async (t) => ({ connectorId: (await t.aBusyConnector()).connectorId, deleteContents: true, validateOnly: true }),
    ],
    ValidateConnector: [
      async (t) => ({ target: { $case: 'connectorId', value: (await t.aConnector()).connectorId } }),
      // One that is not stored, while another one is validated.
      async (t) => {
        await t.aDraft();
        const destination = await t.aDestination();
        const connector = { kind: ConnectorKind.CONNECTOR_KIND_ICEBERG, uri: `file:///${t.nonce}` };
        return { target: { $case: 'connector', value: { ...connector, source: ONE_TABLE, destination } } };
      },
    ],
    TriggerReconcile: [
      async (t) => ({ connectorId: (await t.aConnector()).connectorId, idempotencyKey: t.name('key') }),
      async (t) => {
        const { connectorId } = await t.aWaitingJob();
        await t.admin('Connectors/TriggerReconcile', { connectorId });
        return { connectorId };
      },
    ],
    GetReconcileJob: [...ofJob(), async (t) => ({ jobId: (await t.aWaitingJob()).jobId })],
  }),
  ...recipes(`${PUBLIC}Directory/`, {
    Resolve: [
      async (t) => {
        const { catalogName, namespaceId } = await t.aNamespace();
        await t.aTable(namespaceId);
        return { name: { $case: 'text', value: `${catalogName}.fx.orders` }, object: true };
      },
      async (t) => ({ name: { $case: 'text', value: (await t.aNamespace()).catalogName } }),
      // A table that was not ingested completely.
      async (t) => {
        const { connectorId, claim } = await t.aClaimedConnector();
        const { namespaceId, catalogName } = await t.aNamespace();
        const upstream = { namespacePath: ['up'], name: 'orders' };
        const format = TableFormat.TABLE_FORMAT_ICEBERG;
        await t.worker('Bindings/EnsureTable', { connectorId, namespaceId, upstream, name: 'orders', format }, claim);
        return { name: { $case: 'text', value: `${catalogName}.fx.orders` }, object: true };
      },
    ],
    Lookup: [
      async (t) => ({ id: (await t.aCatalog()).catalogId }),
      async (t) => ({ id: (await t.aNamespace()).namespaceId }),
      async (t) => ({ id: (await t.aTable()).tableId }),
      async (t) => ({ id: (await t.aBusyConnector()).viewId }),
    ],
  }),
  ...recipes(`${PUBLIC}Namespaces/`, {
    CreateNamespace: async (t) => {
      const { catalogId } = await t.aCatalog();
      return { namespace: { catalogId, path: ['new'], ...t.texts() }, idempotencyKey: t.name('key') };
    },
    GetNamespace: async (t) => ({ namespaceId: (await t.aNamespace()).namespaceId }),
    ListNamespaces: async (t) => ({ catalogId: (await t.aNamespace()).catalogId }),
    UpdateNamespace: async (t) => {
      const { namespaceId } = await t.aNamespace();
      return { namespace: { namespaceId, description: t.nonce }, updateMask: ['description'] };
    },
    DeleteNamespace: async (t) => ({ namespaceId: (await t.aNamespace()).namespaceId }),
  }),
  ...recipes(`${PUBLIC}Plans/`, {
    GetPlan: async (t) => ({ tableId: (await t.aFullTable()).tableId }),
    StreamPlan: async (t) => ({ tableId: (await t.aFullTable()).tableId }),
  }),
  ...recipes(`${PUBLIC}ReconcileJobs/`, {
    ListReconcileJobs: [
      async (t) => ({ connectorId: (await t.aFailedJob()).connectorId }),
      async (t) => ({ connectorId: (await t.aFailedJob()).displayName }),
      async (t) => {
        await t.aFailedJob();
        return { states: [JobState.JS_FAILED], createdAfter: new Date(1e12) };
      },
    ],
    CancelReconcileJob: async (t) => ({ jobId: (await t.aWaitingJob()).jobId }),
    RetryReconcileJob: ofJob((t) => ({ idempotencyKey: t.name('key') })),
    ListJobFailures: ofJob(),
    ListJobChanges: ofJob(),
    ListJobOutcomes: ofJob(),
  }),
  ...recipes(`${PUBLIC}Schedules/`, {
    ListSchedules: [
      async (t) => ({ connectorId: (await t.aConnector(SCHEDULED)).connectorId }),
      async (t) => {
        await t.aConnector(SCHEDULED);
        return {};
      },
    ],
    RepairSchedules: async (t) => {
      await t.aConnector(SCHEDULED);
      return {};
    },
  }),
  ...recipes(`${PUBLIC}Snapshots/`, {
    CreateSnapshot: async (t) => ({ snapshot: t.snapshot((await t.aTable()).tableId), metadataOnly: true }),
    GetSnapshot: async (t) => ({ tableId: (await t.aFullTable()).tableId, snapshotId: 1n }),
    ListSnapshots: async (t) => ({ tableId: (await t.aFullTable()).tableId }),
    DeleteSnapshot: async (t) => {
      const { tableId } = await t.aTable();
      await t.admin('Snapshots/CreateSnapshot', { snapshot: t.snapshot(tableId), metadataOnly: true });
      return { tableId, snapshotId: 1n };
    },
  }),
  ...recipes(`${PUBLIC}TableStatistics/`, {
    GetTableStats: async (t) => ({ tableId: (await t.aFullTable()).tableId }),
    PutTableStats: async (t) => ({ tableId: (await t.aFullTable()).tableId, snapshotId: 1n, ndv: 1n }),
    ListColumnStats: async (t) => ({ tableId: (await t.aFullTable()).tableId }),
    PutColumnStats: async (t) => {
      const { tableId } = await t.aFullTable();
      return [
        { request: { $case: 'header', value: { tableId, snapshotId: 1n, idempotencyKey: 'key' } } },
        { request: { $case: 'column', value: { columnId: 1, columnName: 'id', logicalType: 'long', valueCount: 1n } } },
      ];
    },
    ListFileColumnStats: async (t) => ({ tableId: (await t.aFullTable()).tableId }),
    StreamFileColumnStats: async (t) => {
      return { tableId: (await t.aFullTable()).tableId, fileContent: FileContent.FILE_CONTENT_DATA };
    },
    PutFileColumnStats: async (t) => {
      const { tableId } = await t.aTable();
      await t.admin('Snapshots/CreateSnapshot', { snapshot: t.snapshot(tableId) });
      return t.commit({ tableId });
    },
  }),
  ...recipes(`${PUBLIC}Tables/`, {
    CreateTable: async (t) => {
      const { namespaceId } = await t.aNamespace();
      const table = {
        namespaceId,
        name: 'new',
        format: TableFormat.TABLE_FORMAT_ICEBERG,
        ...t.texts(),
        schema: SCHEMA,
      };
      return { table, idempotencyKey: t.name('key') };
    },
    GetTable: [
      async (t) => ({ tableId: (await t.aTable()).tableId }),
      async (t) => ({ tableId: (await t.aBusyConnector()).tableId }),
    ],
    ListTables: async (t) => ({ namespaceId: (await t.aTable()).namespaceId }),
    UpdateTable: [
      async (t) => {
        const { tableId } = await t.aTable();
        return { table: { tableId, description: t.nonce }, updateMask: ['description'] };
      },
    ],
    DeleteTable: async (t) => ({ tableId: (await t.aBusyConnector()).tableId }),
    GetTableSchema: async (t) => ({ tableId: (await t.aTable()).tableId, schemaId: 0 }),
    PutTableSchema: async (t) => ({ tableId: (await t.aTable()).tableId, schema: { ...SCHEMA, schemaId: 1 } }),
  }),
  ...recipes(`${PUBLIC}Tokens/`, {
    CreateToken: async (t) => ({ subject: t.nonce, roles: [Role.ROLE_READER], tenantIds: [t.id] }),
    ListTokens: async (t) => {
      await t.aToken();
      return {};
    },
    RevokeToken: async (t) => ({ tokenId: (await t.aToken()).tokenId }),
    GetCaller: async () => ({}),
  }),
  ...recipes(`${PUBLIC}Views/`, {
    CreateView: async (t) => {
      const { namespaceId } = await t.aNamespace();
      const representations = [{ sql: t.nonce, dialect: 'x' }];
      return { view: { namespaceId, name: 'new', ...t.texts(), representations }, idempotencyKey: t.name('key') };
    },
    GetView: async (t) => ({ viewId: (await t.aBusyConnector()).viewId }),
    ListViews: async (t) => ({ namespaceId: (await t.aBusyConnector()).namespaceId }),
    UpdateView: async (t) => {
      const { viewId } = await t.aBusyConnector();
      return { view: { viewId, description: t.nonce }, updateMask: ['description'] };
    },
    DeleteView: async (t) => ({ viewId: (await t.aBusyConnector()).viewId }),
  }),
]);

const ONE_TABLE = { namespacePath: ['up'], table: 'orders' };

const SCHEDULED = { policy: { enabled: true, interval: { seconds: 3600n } } };
