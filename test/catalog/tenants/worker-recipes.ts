import { JobState } from '../../../src/generated/reconciler/v1/jobs.ts';
import { TableFormat } from '../../../src/generated/reconciler/v1/tables.ts';
import { type Recipe, recipes } from './recipe.ts';
import { INTERNAL, TABLE, type TestTenant, VIEW } from './tenant.ts';

const ended = { state: JobState.JS_FAILED };
const format = TableFormat.TABLE_FORMAT_ICEBERG;
const upstream = { namespacePath: ['up'], name: 'more' };

/** What a worker writes of a job that has begun, with the claim of the job. */
const aRecord = async (t: TestTenant, id?: string) => {
  const { connectorId, displayName, jobId, runId, claim: under } = await t.aClaimedConnector(id);
  return {
    connectorId,
    jobId,
    runId,
    under,
    job: { jobId, connectorId, connectorName: displayName, message: t.nonce },
  };
};

/** For a job whose id no other tenant's job has, and for one whose id the same job of each tenant has. */
const ofRecord = (make: (t: TestTenant, record: Awaited<ReturnType<typeof aRecord>>) => object): Recipe[] =>
  [(t: TestTenant) => t.jobId(), () => undefined].map((idOf) => async (t) => {
    const record = await aRecord(t, idOf(t));
    return { under: record.under, request: make(t, record) };
  });

/** A table that the tenant's connector has reserved, which is created with its first snapshot. */
const aReservedTable = async (t: TestTenant) => {
  const { connectorId, namespaceId, claim: under } = await t.aBusyConnector();
  const ensureTable = { connectorId, namespaceId, upstream, name: 'more', format, reserveIfNew: true };
  const { tableId } = (await t.worker('Bindings/EnsureTable', ensureTable, under)).table;
  const bound = { connectorId, namespacePath: ['up'], tableName: 'more', fingerprint: t.nonce };
  const updateMask = ['current_snapshot_id', 'upstream'];
  const updateTable = { table: { tableId, currentSnapshotId: 1n, upstream: bound }, updateMask };
  const header = { tableId, snapshot: t.snapshot(tableId), ensureTable: { ...ensureTable, tableId } };
  return { under, request: t.commit(header, { updateTable }) };
};

/** What workers call, each write with the claim of its job. */
export const WORKER_RECIPES: readonly [string, Recipe[]][] = [
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
      return { connectorId, kind: TABLE, formats: [format] };
    },
    MarkMissing: [
      async (t) => {
        const { connectorId, tableId, claim: under } = await t.aBusyConnector();
        return { under, request: { connectorId, kind: TABLE, objectIds: [tableId] } };
      },
      async (t) => {
        const { connectorId, viewId, claim: under } = await t.aBusyConnector();
        return { under, request: { connectorId, kind: VIEW, objectIds: [viewId] } };
      },
      // More than the share that may be gone at once.
      async (t) => {
        const { connectorId, tableId, claim: under } = await t.aBusyConnector(undefined, {});
        return { under, request: { connectorId, kind: TABLE, objectIds: [tableId] } };
      },
    ],
    EnsureTable: [
      async (t) => {
        const { connectorId, namespaceId, claim: under } = await t.aBusyConnector();
        return { under, request: { connectorId, namespaceId, upstream, name: 'more', format, location: t.nonce } };
      },
      // The table is moved, and gets another upstream.
      async (t) => {
        const { connectorId, upstream, claim: under } = await t.aBusyConnector();
        const { namespaceId } = await t.aNamespace();
        const moved = { connectorId, namespaceId, upstream, name: 'moved', format, location: t.nonce, uuid: 'another' };
        return { under, request: moved };
      },
      // The name belongs to a table of another upstream name.
      async (t) => {
        const { connectorId, namespaceId, claim: under } = await t.aBusyConnector();
        const upstream = { namespacePath: ['up'], name: 'rival' };
        return { under, request: { connectorId, namespaceId, upstream, name: 'view', format } };
      },
      // A table that does not exist is reserved, and then created with the id that was reserved.
      async (t) => {
        const { connectorId, namespaceId, claim: under } = await t.aBusyConnector();
        return { under, request: { connectorId, namespaceId, upstream, name: 'more', format, reserveIfNew: true } };
      },
      async (t) => {
        const { connectorId, namespaceId, upstream, tableId, claim: under } = await t.aBusyConnector();
        const ensured = { connectorId, namespaceId, upstream, name: 'orders', format, location: t.nonce, tableId };
        return { under, request: ensured };
      },
      // The id that was reserved is taken.
      async (t) => {
        const { connectorId, namespaceId, tableId, claim: under } = await t.aBusyConnector();
        return { under, request: { connectorId, namespaceId, upstream, name: 'more', format, tableId } };
      },
      // Without a claim, a worker may only ask what would be done.
      async (t) => {
        const { connectorId, namespaceId } = await t.aBusyConnector();
        return { connectorId, namespaceId, upstream, name: 'more', format, validateOnly: true };
      },
    ],
    EnsureView: [
      async (t) => {
        const { connectorId, namespaceId, claim: under } = await t.aBusyConnector();
        const view = { namespaceId, name: 'more', ...t.texts() };
        return { under, request: { connectorId, upstream, view } };
      },
      // The view is moved and changed.
      async (t) => {
        const { connectorId, claim: under } = await t.aBusyConnector();
        const { namespaceId } = await t.aNamespace();
        const view = { namespaceId, name: 'moved', ...t.texts() };
        return { under, request: { connectorId, upstream: { namespacePath: ['up'], name: 'view' }, view } };
      },
    ],
  }),
  ...recipes(`${INTERNAL}Ingestion/`, {
    ExpireSnapshots: [
      async (t) => ({ tableId: (await t.aFullTable()).tableId, snapshotIds: [1n] }),
      async (t) => {
        const { tableId, claim: under } = await t.aBusyConnector();
        return { under, request: { tableId, snapshotIds: [1n] } };
      },
    ],
    ListFilesToSketch: async (t) => ({ tableId: (await t.aFullTable()).tableId, sampleFraction: 1, maxFiles: 10n }),
    PutFileSketches: async (t) => {
      const { tableId, claim: under } = await t.aBusyConnector();
      return { under, request: { tableId, files: [{ filePath: `${t.nonce}/1`, columns: [] }] } };
    },
    CompareSnapshots: async (t) => ({ tableId: (await t.aFullTable()).tableId }),
    CommitSnapshot: [
      async (t) => {
        const { tableId } = await t.aTable();
        return t.commit({ tableId, snapshot: t.snapshot(tableId) });
      },
      aReservedTable,
      // The commit is repeated.
      async (t) => {
        const { under, request } = await aReservedTable(t);
        await t.worker('Ingestion/CommitSnapshot', request, under);
        return { under, request };
      },
    ],
    UpdateTable: async (t) => {
      const { tableId, connectorId, claim: under } = await t.aBusyConnector();
      const upstream = { connectorId, namespacePath: ['up'], tableName: 'orders', fingerprint: 'new' };
      return { under, request: { table: { tableId, upstream }, updateMask: ['upstream'] } };
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
        const { connectorId, jobId, runId } = await t.aClaimedConnector(t.jobId());
        const job = { jobId, message: t.nonce };
        await t.worker('Reconciliation/ClaimConnector', { connectorId, job, runId: 'another' });
        return { connectorId, job, runId };
      },
      async (t) => {
        const { connectorId, jobId: dead } = await t.aBusyConnector(t.jobId());
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
        const { connectorId, runId, job, under } = await aRecord(t);
        t.catalog.unverify(connectorId);
        const succeeded = { ...job, state: JobState.JS_SUCCEEDED };
        return { under, request: { connectorId, runId, job: succeeded, verifiedSince: new Date(1) } };
      },
      // The claim has passed to another run.
      async (t) => {
        const { connectorId, runId, job, under } = await aRecord(t, t.jobId());
        await t.worker('Reconciliation/ClaimConnector', { connectorId, job, runId: 'another' });
        return { under, request: { connectorId, runId, job: { ...job, ...ended } } };
      },
      async (t) => {
        const { connectorId, runId, job, under } = await aRecord(t);
        return { under, request: { connectorId, runId, job: { ...job, ...ended }, failures: [t.failure()] } };
      },
      // The call is repeated.
      async (t) => {
        const { connectorId, runId, job, under } = await aRecord(t, t.jobId());
        const request = { connectorId, runId, job: { ...job, ...ended }, failures: [t.failure()] };
        await t.worker('Reconciliation/EndJob', request, under);
        return { under, request };
      },
      async (t) => {
        const { connectorId, runId, job } = await aRecord(t);
        return { connectorId, runId, job: { ...job, ...ended }, failures: [t.failure()] };
      },
      async (t) => {
        const { connectorId, holder, displayName } = await t.aWaitingJob();
        const job = { jobId: holder, connectorId, connectorName: displayName, state: JobState.JS_SUCCEEDED };
        return { connectorId, runId: `run-of-${holder}`, job };
      },
    ],
    RecordJob: [
      ...ofRecord((t, { job, runId }) => ({ job: { ...job, ...ended, runId }, failures: [t.failure()] })),
      // A job that waits has no claim.
      async (t) => {
        const { jobId, connectorId, displayName } = await t.aWaitingJob();
        const job = { jobId, connectorId, connectorName: displayName, message: t.nonce };
        return { job: { ...job, state: JobState.JS_QUEUED } };
      },
    ],
    RecordJobChanges: [
      ...ofRecord((t, { jobId }) => ({ jobId, changes: [t.change()] })),
      // Another table has the destination.
      async (t) => {
        const { jobId, under } = await aRecord(t, t.jobId());
        await t.worker('Reconciliation/RecordJobChanges', { jobId, changes: [t.change()] }, under);
        return { under, request: { jobId, changes: [{ ...t.change(), name: 'up.rival' }] } };
      },
    ],
    RecordJobOutcomes: [
      ...ofRecord((t, { jobId }) => ({ jobId, step: 'a', outcomes: [t.outcome()] })),
      // The job has a claim, and the call does not carry it.
      async (t) => ({ jobId: (await aRecord(t)).jobId, step: 'a', outcomes: [t.outcome()] }),
    ],
    EnsureDestination: [
      async (t) => {
        const { connectorId, claim: under } = await t.aClaimedConnector();
        return { under, request: { connectorId, destination: await t.aDestination() } };
      },
      async (t) => {
        const { connectorId, claim: under } = await t.aClaimedConnector();
        const destination = { catalogName: (await t.aNamespace()).catalogName };
        return { under, request: { connectorId, destination, namespacePath: ['fx'] } };
      },
    ],
    DropMissing: async (t) => {
      const { connectorId, tableId, viewId, claim: under } = await t.aBusyConnector();
      await t.worker('Bindings/MarkMissing', { connectorId, kind: TABLE, objectIds: [tableId] }, under);
      await t.worker('Bindings/MarkMissing', { connectorId, kind: VIEW, objectIds: [viewId] }, under);
      return { under, request: { connectorId, tableIds: [tableId], viewIds: [viewId] } };
    },
    DropExpiredSnapshots: async (t) => {
      const { connectorId, tableId, claim: under } = await t.aBusyConnector();
      await t.admin('Snapshots/CreateSnapshot', { snapshot: t.snapshot(tableId, 2n), metadataOnly: true });
      await t.worker('Ingestion/ExpireSnapshots', { tableId, snapshotIds: [2n] }, under);
      return { under, request: { connectorId } };
    },
    BindDestination: async (t) => {
      const { connectorId, claim: under } = await t.aClaimedConnector();
      const { catalogId, namespaceId } = await t.aNamespace();
      const { tableId } = await t.aTable(namespaceId);
      return { under, request: { connectorId, destination: { catalogId, namespaceId, tableId } } };
    },
    AcquireRequests: async (t) => {
      return { connectorId: (await t.aConnector({ policy: { maxRequestsPerSecond: 10 } })).connectorId };
    },
    GetConnectorDraft: async (t) => ({ draftId: await t.aDraft() }),
  }),
];
