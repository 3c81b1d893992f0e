import { ConnectorKind } from '../../../src/generated/reconciler/v1/connectors.ts';
import { JobState } from '../../../src/generated/reconciler/v1/jobs.ts';
import { FileContent } from '../../../src/generated/reconciler/v1/statistics.ts';
import { TableFormat } from '../../../src/generated/reconciler/v1/tables.ts';
import { SCHEMA } from '../files.ts';
import { INTERNAL, PUBLIC, TABLE, type TestTenant, VIEW } from './tenant.ts';

/** Prepares what a call concerns, and returns its request: a list of messages if it is a stream. */
type Recipe = (tenant: TestTenant) => Promise<object>;

const ended = { state: JobState.JS_FAILED };

/** Recipes of one kind of resource, by the names of RPCs. */
const recipes = (prefix: string, byName: Record<string, Recipe | Recipe[]>): [string, Recipe[]][] =>
  Object.entries(byName).map(([name, recipe]) => [prefix + name, [recipe].flat()]);

/** A job whose id no other tenant's job has, and one whose id the same job of each tenant has. */
const ofJob = (more: (t: TestTenant) => object = () => ({})): Recipe[] => [
  async (t) => ({ jobId: (await t.aFailedJob()).jobId, ...more(t) }),
  async (t) => ({ jobId: (await t.aFailedJob(t.name('nightly'))).jobId, ...more(t) }),
];

/** What a worker writes of a job that has begun. */
const aRecord = async (t: TestTenant, id?: string) => {
  const { connectorId, displayName, jobId } = await t.aBusyConnector(id);
  return { connectorId, jobId, job: { jobId, connectorId, connectorName: displayName, message: t.nonce } };
};

/** What each RPC is called with. An RPC without a recipe fails the test. */
export const RECIPES: ReadonlyMap<string, readonly Recipe[]> = new Map([
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
      const destination = { catalogId: (await t.aCatalog()).catalogId };
      return {
        connector: { displayName: t.name('new'), kind, uri: `file:///${t.nonce}`, ...t.texts(), destination },
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
        return { connector: { connectorId, description: t.nonce }, updateMask: ['description'] };
      },
      async (t) => {
        const { connectorId } = await t.aBusyConnector();
        const policy = { taskQueue: 'other' };
        const alerts = { webhookUrl: 'env:HOOK' };
        return { connector: { connectorId, policy, alerts }, updateMask: ['policy.task_queue', 'alerts'] };
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
    ValidateConnector: async (t) => ({ target: { $case: 'connectorId', value: (await t.aConnector()).connectorId } }),
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
        const { connectorId } = await t.aConnector();
        const { namespaceId, catalogName } = await t.aNamespace();
        const upstream = { namespacePath: ['up'], name: 'orders' };
        const format = TableFormat.TABLE_FORMAT_ICEBERG;
        await t.worker('Bindings/EnsureTable', { connectorId, namespaceId, upstream, name: 'orders', format });
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
  ...recipes(`${INTERNAL}Bindings/`, {
    LookupBindings: async (t) => {
      const { connectorId, upstream } = await t.aBusyConnector();
      return { connectorId, kind: TABLE, names: [upstream] };
    },
    ReadBoundTable: async (t) => {
      const { connectorId, upstream } = await t.aBusyConnector();
      return { connectorId, upstream };
    },
    ListBindings: async (t) => ({ connectorId: (await t.aBusyConnector()).connectorId, kind: VIEW }),
    CountBindings: async (t) => {
      const { connectorId } = await t.aBusyConnector();
      return { connectorId, kind: TABLE, formats: [TableFormat.TABLE_FORMAT_ICEBERG] };
    },
    MarkMissing: [
      async (t) => {
        const { connectorId, tableId } = await t.aBusyConnector();
        return { connectorId, kind: TABLE, objectIds: [tableId] };
      },
      async (t) => {
        const { connectorId, viewId } = await t.aBusyConnector();
        return { connectorId, kind: VIEW, objectIds: [viewId] };
      },
    ],
    EnsureTable: [
      async (t) => {
        const { connectorId, namespaceId } = await t.aBusyConnector();
        const upstream = { namespacePath: ['up'], name: 'more' };
        const format = TableFormat.TABLE_FORMAT_ICEBERG;
        return { connectorId, namespaceId, upstream, name: 'more', format, location: t.nonce };
      },
      // The table is moved, and gets another upstream.
      async (t) => {
        const { connectorId, upstream } = await t.aBusyConnector();
        const { namespaceId } = await t.aNamespace();
        const format = TableFormat.TABLE_FORMAT_ICEBERG;
        return { connectorId, namespaceId, upstream, name: 'moved', format, location: t.nonce, uuid: 'another' };
      },
      // The name belongs to a table of another upstream name.
      async (t) => {
        const { connectorId, namespaceId } = await t.aBusyConnector();
        const upstream = { namespacePath: ['up'], name: 'rival' };
        return { connectorId, namespaceId, upstream, name: 'view', format: TableFormat.TABLE_FORMAT_ICEBERG };
      },
      // A table that does not exist is reserved, and then created with the id that was reserved.
      async (t) => {
        const { connectorId, namespaceId } = await t.aBusyConnector();
        const upstream = { namespacePath: ['up'], name: 'more' };
        const format = TableFormat.TABLE_FORMAT_ICEBERG;
        return { connectorId, namespaceId, upstream, name: 'more', format, reserveIfNew: true };
      },
      async (t) => {
        const { connectorId, namespaceId, upstream, tableId } = await t.aBusyConnector();
        const format = TableFormat.TABLE_FORMAT_ICEBERG;
        return { connectorId, namespaceId, upstream, name: 'orders', format, location: t.nonce, tableId };
      },
      // The id that was reserved is taken.
      async (t) => {
        const { connectorId, namespaceId, tableId } = await t.aBusyConnector();
        const upstream = { namespacePath: ['up'], name: 'more' };
        const format = TableFormat.TABLE_FORMAT_ICEBERG;
        return { connectorId, namespaceId, upstream, name: 'more', format, tableId };
      },
    ],
    EnsureView: [
      async (t) => {
        const { connectorId, namespaceId } = await t.aBusyConnector();
        const view = { namespaceId, name: 'more', ...t.texts() };
        return { connectorId, upstream: { namespacePath: ['up'], name: 'more' }, view };
      },
      // The view is moved and changed.
      async (t) => {
        const { connectorId } = await t.aBusyConnector();
        const { namespaceId } = await t.aNamespace();
        const view = { namespaceId, name: 'moved', ...t.texts() };
        return { connectorId, upstream: { namespacePath: ['up'], name: 'view' }, view };
      },
    ],
  }),
  ...recipes(`${INTERNAL}Ingestion/`, {
    ExpireSnapshots: async (t) => ({ tableId: (await t.aFullTable()).tableId, snapshotIds: [1n] }),
    ListFilesToSketch: async (t) => ({ tableId: (await t.aFullTable()).tableId, sampleFraction: 1, maxFiles: 10n }),
    PutFileSketches: async (t) => {
      return { tableId: (await t.aFullTable()).tableId, files: [{ filePath: `${t.nonce}/1`, columns: [] }] };
    },
    CompareSnapshots: async (t) => ({ tableId: (await t.aFullTable()).tableId }),
    CommitSnapshot: [
      async (t) => {
        const { tableId } = await t.aTable();
        return t.commit({ tableId, snapshot: t.snapshot(tableId) });
      },
      // A reserved table is created with its snapshot.
      async (t) => {
        const { connectorId, namespaceId } = await t.aBusyConnector();
        const upstream = { namespacePath: ['up'], name: 'more' };
        const format = TableFormat.TABLE_FORMAT_ICEBERG;
        const ensureTable = { connectorId, namespaceId, upstream, name: 'more', format, reserveIfNew: true };
        const { tableId } = (await t.worker('Bindings/EnsureTable', ensureTable)).table;
        const bound = { connectorId, namespacePath: ['up'], tableName: 'more', fingerprint: t.nonce };
        const updateTable = {
          table: { tableId, currentSnapshotId: 1n, upstream: bound },
          updateMask: ['current_snapshot_id', 'upstream'],
        };
        const header = { tableId, snapshot: t.snapshot(tableId), ensureTable: { ...ensureTable, tableId } };
        return t.commit(header, { updateTable });
      },
      // The same under the claim of a job.
      async (t) => {
        const { connectorId, namespaceId, epoch, runId } = await t.aBusyConnector();
        const upstream = { namespacePath: ['up'], name: 'more' };
        const format = TableFormat.TABLE_FORMAT_ICEBERG;
        const ensureTable = { connectorId, namespaceId, upstream, name: 'more', format, reserveIfNew: true };
        const { tableId } = (await t.worker('Bindings/EnsureTable', ensureTable)).table;
        const bound = { connectorId, namespacePath: ['up'], tableName: 'more', fingerprint: t.nonce };
        const updateTable = {
          table: { tableId, currentSnapshotId: 1n, upstream: bound },
          updateMask: ['current_snapshot_id', 'upstream'],
        };
        const header = { tableId, snapshot: t.snapshot(tableId), ensureTable: { ...ensureTable, tableId } };
        return { under: { connectorId, epoch, runId }, request: t.commit(header, { updateTable }) };
      },
    ],
    UpdateTable: async (t) => {
      const { tableId, connectorId } = await t.aBusyConnector();
      const upstream = { connectorId, namespacePath: ['up'], tableName: 'orders', fingerprint: 'new' };
      return { table: { tableId, upstream }, updateMask: ['upstream'] };
    },
  }),
  ...recipes(`${INTERNAL}Reconciliation/`, {
    ClaimConnector: [
      // The job was reset.
      async (t) => {
        const { connectorId, jobId } = await t.aFailedJob(t.name('nightly'));
        return { connectorId, job: { jobId, message: t.nonce }, runId: 'another' };
      },
      // A former run of it.
      async (t) => {
        const { connectorId, jobId, runId } = await t.aBusyConnector();
        const job = { jobId, message: t.nonce };
        await t.worker('Reconciliation/ClaimConnector', { connectorId, job, runId: 'another' });
        return { connectorId, job, runId };
      },
      async (t) => {
        const { connectorId, jobId: dead } = await t.aBusyConnector();
        t.catalog.jobs.statuses.set(dead, 'TERMINATED');
        const jobId = t.jobId();
        return { connectorId, job: { jobId, message: t.nonce }, runId: `run-of-${jobId}`, deadHolderJobId: dead };
      },
      async (t) => {
        const { connectorId, holder } = await t.aWaitingJob();
        return { connectorId, job: { jobId: holder, message: t.nonce }, runId: 'another', continued: false };
      },
      async (t) => {
        const { connectorId } = await t.aWaitingJob();
        return {
          connectorId,
          job: { jobId: t.name('nightly'), message: t.nonce },
          runId: 'same-run',
        };
      },
    ],
    EndJob: [
      async (t) => {
        const { connectorId, jobId, runId, displayName } = await t.aBusyConnector();
        t.catalog.unverify(connectorId);
        const job = { jobId, connectorId, connectorName: displayName, state: JobState.JS_SUCCEEDED };
        return { connectorId, runId, job, verifiedSince: new Date(1) };
      },
      // The claim has passed to another run.
      async (t) => {
        const { connectorId, jobId, runId, epoch, displayName } = await t.aBusyConnector(t.jobId());
        const job = { jobId, connectorId, connectorName: displayName };
        await t.worker('Reconciliation/ClaimConnector', { connectorId, job, runId: 'another' });
        const request = { connectorId, runId, job: { ...job, ...ended } };
        return { under: { connectorId, epoch, runId }, request };
      },
      async (t) => {
        const { connectorId, jobId, runId, epoch, displayName } = await t.aBusyConnector();
        const job = { jobId, connectorId, connectorName: displayName, ...ended };
        return { under: { connectorId, epoch, runId }, request: { connectorId, runId, job } };
      },
      async (t) => {
        const { job, connectorId, jobId } = await aRecord(t);
        return { connectorId, runId: `run-of-${jobId}`, job: { ...job, ...ended }, failures: [t.failure()] };
      },
      async (t) => {
        const { connectorId, holder, displayName } = await t.aWaitingJob();
        const job = { jobId: holder, connectorId, connectorName: displayName, state: JobState.JS_SUCCEEDED };
        return { connectorId, runId: `run-of-${holder}`, job, verifiedSince: new Date(1) };
      },
    ],
    RecordJob: async (t) => {
      const { job } = await aRecord(t);
      return { job: { ...job, ...ended }, failures: [t.failure()] };
    },
    RecordJobChanges: [
      async (t) => ({ jobId: (await aRecord(t)).jobId, changes: [t.change()] }),
      // Another table has the destination.
      async (t) => {
        const { jobId } = await aRecord(t, t.jobId());
        await t.worker('Reconciliation/RecordJobChanges', { jobId, changes: [t.change()] });
        return { jobId, changes: [{ ...t.change(), name: 'up.rival' }] };
      },
    ],
    RecordJobOutcomes: async (t) => ({ jobId: (await aRecord(t)).jobId, step: 'a', outcomes: [t.outcome()] }),
    EnsureDestination: [
      async (t) => {
        const { connectorId } = await t.aConnector();
        const { catalogId, namespaceId } = await t.aNamespace();
        return { connectorId, destination: { catalogId, namespaceId } };
      },
      async (t) => {
        const { connectorId } = await t.aConnector();
        return { connectorId, destination: { catalogName: (await t.aNamespace()).catalogName }, namespacePath: ['fx'] };
      },
    ],
    DropMissing: [
      async (t) => {
        const { connectorId, tableId, viewId } = await t.aBusyConnector();
        await t.worker('Bindings/MarkMissing', { connectorId, kind: TABLE, objectIds: [tableId] });
        await t.worker('Bindings/MarkMissing', { connectorId, kind: VIEW, objectIds: [viewId] });
        return { connectorId, tableIds: [tableId], viewIds: [viewId] };
      },
    ],
    DropExpiredSnapshots: async (t) => {
      const { connectorId, tableId } = await t.aBusyConnector();
      const expired = { ...t.snapshot(tableId, 2n) };
      await t.admin('Snapshots/CreateSnapshot', { snapshot: expired, metadataOnly: true });
      await t.worker('Ingestion/ExpireSnapshots', { tableId, snapshotIds: [2n] });
      return { connectorId };
    },
    BindDestination: async (t) => {
      const { connectorId } = await t.aConnector();
      const { catalogId, namespaceId } = await t.aNamespace();
      const { tableId } = await t.aTable(namespaceId);
      return { connectorId, destination: { catalogId, namespaceId, tableId } };
    },
    AcquireRequests: async (t) => {
      return { connectorId: (await t.aConnector({ policy: { maxRequestsPerSecond: 10 } })).connectorId };
    },
  }),
]);

const SCHEDULED = { policy: { enabled: true, interval: { seconds: 3600n } } };
