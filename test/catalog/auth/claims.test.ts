import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { CLAIM_RULES } from '../../../src/catalog/auth/claim-rules.ts';
import { withClaim } from '../../../src/catalog-client/claim.ts';
import type { Claim } from '../../../src/contract/claim.ts';
import { ObjectKind } from '../../../src/generated/reconciler/internal/v1/bindings.ts';
import { JobState } from '../../../src/generated/reconciler/v1/jobs.ts';
import { TableFormat } from '../../../src/generated/reconciler/v1/tables.ts';
import { SCHEMA } from '../files.ts';
import { connectorSpec, DROPS, failure, refusal } from '../harness.ts';
import { type Clients, GuardedCatalog } from './clients.ts';

let guarded: GuardedCatalog;
let worker: Clients;
let admin: Clients;
beforeAll(async () => {
  guarded = await GuardedCatalog.start();
  worker = await guarded.asRole('worker');
  admin = await guarded.asRole('admin');
});
afterAll(() => guarded[Symbol.asyncDispose]());

interface Job {
  connectorId: string;
  jobId: string;
  tableId: string;
  namespaceId: string;
  claim: Claim;
}

let count = 0;

/** A job that has claimed its connector and has ingested tables, the first of which has an expired snapshot. */
async function claimed(tables = 1, fields: object = DROPS): Promise<Job & { tableIds: string[] }> {
  const { connectorId } = await admin.connectors.createConnector({ connector: connectorSpec(fields) });
  const jobId = `job-${++count}`;
  const runId = `run-of-${jobId}`;
  const { epoch } = await worker.reconciliation.claimConnector({ connectorId, job: { jobId, connectorId }, runId });
  const claim = { connectorId, epoch: Number(epoch), runId };
  const destination = { catalogName: `c${count}`, namespacePath: ['n'] };
  const { namespaceId } = await withClaim(claim, () =>
    worker.reconciliation.ensureDestination({ connectorId, destination }),
  );
  const tableIds: string[] = [];
  for (let n = 0; n < tables; n++) {
    const { table } = await withClaim(claim, () =>
      worker.bindings.ensureTable(ensure(connectorId, namespaceId, `t${n}`)),
    );
    tableIds.push(table!.tableId);
  }
  const tableId = tableIds[0]!;
  await withClaim(claim, () => worker.ingestion.commitSnapshot(stream(tableId, 7n)));
  await withClaim(claim, () => worker.ingestion.expireSnapshots({ tableId, snapshotIds: [7n] }));
  return { connectorId, jobId, namespaceId, tableIds, tableId, claim };
}

function ensure(connectorId: string, namespaceId: string, name: string) {
  const upstream = { namespacePath: ['src'], name };
  return { connectorId, namespaceId, upstream, name, format: TableFormat.TABLE_FORMAT_ICEBERG, schemas: [SCHEMA] };
}

async function* stream(tableId: string, snapshotId: bigint, ensureTable?: object) {
  const header = { tableId, snapshotId, idempotencyKey: 'k', snapshot: { tableId, snapshotId }, ensureTable };
  yield { request: { $case: 'header' as const, value: header } };
  yield { request: { $case: 'finish' as const, value: {} } };
}

const kind = ObjectKind.OBJECT_KIND_TABLE;

/** A call of each RPC that needs a claim, for a job. */
const CALLS: Record<string, (job: Job) => Promise<unknown>> = {
  EnsureTable: ({ connectorId, namespaceId }) => worker.bindings.ensureTable(ensure(connectorId, namespaceId, 'more')),
  EnsureView: ({ connectorId, namespaceId }) =>
    worker.bindings.ensureView({
      ...{ connectorId, upstream: { namespacePath: ['src'], name: 'v' }, fingerprint: 'f' },
      view: { namespaceId, name: 'v', representations: [{ sql: 'select 1', dialect: 'spark' }] },
    }),
  EnsureDestination: ({ connectorId }) => worker.reconciliation.ensureDestination({ connectorId }),
  BindDestination: ({ connectorId }) => worker.reconciliation.bindDestination({ connectorId, destination: {} }),
  RecordJobChanges: ({ jobId }) => worker.reconciliation.recordJobChanges({ jobId }),
  RecordJobOutcomes: ({ jobId }) => worker.reconciliation.recordJobOutcomes({ jobId, step: 's' }),
  RecordJob: ({ jobId, connectorId }) =>
    worker.reconciliation.recordJob({ job: { jobId, connectorId, state: JobState.JS_RUNNING } }),
  CommitSnapshot: ({ tableId }) => worker.ingestion.commitSnapshot(stream(tableId, 8n)),
  'CommitSnapshot of a new table': ({ connectorId, namespaceId }) =>
    worker.ingestion.commitSnapshot(
      stream('tbl_new', 8n, { ...ensure(connectorId, namespaceId, 'new'), tableId: 'tbl_new' }),
    ),
  ExpireSnapshots: ({ tableId }) => worker.ingestion.expireSnapshots({ tableId, snapshotIds: [7n] }),
  UpdateTable: ({ tableId }) =>
    worker.ingestion.updateTable({ table: { tableId, description: 'd' }, updateMask: ['description'] }),
  PutFileSketches: ({ tableId }) => worker.ingestion.putFileSketches({ tableId }),
  DropExpiredSnapshots: ({ connectorId }) => worker.reconciliation.dropExpiredSnapshots({ connectorId }),
  MarkMissing: ({ connectorId }) => worker.bindings.markMissing({ connectorId, kind, objectIds: [] }),
  DropMissing: ({ connectorId, tableId }) => worker.reconciliation.dropMissing({ connectorId, tableIds: [tableId] }),
  // A worker calls a public service.
  PutTableSchema: ({ tableId }) => worker.tables.putTableSchema({ tableId, schema: SCHEMA }),
  EndJob: ({ jobId, connectorId }) =>
    worker.reconciliation.endJob({ job: { jobId, connectorId, state: JobState.JS_SUCCEEDED }, connectorId }),
};

it('every internal RPC that writes is tested here', () => {
  const needed = Object.entries(CLAIM_RULES).flatMap(([path, rule]) => (rule === 'none' ? [] : path.split('/')[2]));
  expect(Object.keys(CALLS)).toEqual(expect.arrayContaining(needed));
});

describe('a call of a worker', () => {
  it.each(Object.entries(CALLS))('%s needs the claim of its connector', async (_, call) => {
    const [mine, other] = [await claimed(), await claimed()];
    expect((await failure(call(mine))).code).toBe('PERMISSION_DENIED');
    expect((await failure(withClaim(other.claim, () => call(mine)))).code).toBe('PERMISSION_DENIED');
    const lost = { ...mine.claim, runId: 'another' };
    expect((await failure(withClaim(lost, () => call(mine)))).code).toBe('FAILED_PRECONDITION');
    await withClaim(mine.claim, () => call(mine));
  });

  it('names the connector and what is needed', async () => {
    const [mine, other] = [await claimed(), await claimed()];
    const mark = () => worker.bindings.markMissing({ connectorId: mine.connectorId, kind, objectIds: [] });
    expect((await failure(mark())).message).toBe(
      `MarkMissing writes what connector ${mine.connectorId} owns: only the job that has claimed the connector may, and sends its claim in the metadata reconciler-claim`,
    );
    expect((await failure(withClaim(other.claim, mark))).message).toBe(
      `MarkMissing has the claim on connector ${other.connectorId} and not on ${mine.connectorId}, which owns what it writes`,
    );
  });

  it('needs none if it only validates', async () => {
    const { connectorId, namespaceId } = await claimed();
    await worker.bindings.ensureTable({ ...ensure(connectorId, namespaceId, 'x'), validateOnly: true });
    await worker.reconciliation.ensureDestination({ connectorId, validateOnly: true });
    await worker.reconciliation.dropExpiredSnapshots({ connectorId, validateOnly: true });
  });

  it('cannot move a table to another connector', async () => {
    const [mine, other] = [await claimed(), await claimed()];
    const upstream = { connectorId: other.connectorId, namespacePath: ['src'], tableName: 'moved' };
    const move = worker.ingestion.updateTable.bind(worker.ingestion);
    const request = { table: { tableId: mine.tableId, upstream }, updateMask: ['upstream'] };
    expect((await failure(withClaim(mine.claim, () => move(request)))).code).toBe('PERMISSION_DENIED');
  });
});

it('an admin changes tables through the public services without a claim', async () => {
  const { tableId } = await claimed();
  await admin.tables.putTableSchema({ tableId, schema: SCHEMA });
  const update = admin.ingestion.updateTable({ table: { tableId, description: 'd' }, updateMask: ['description'] });
  expect((await failure(update)).code).toBe('PERMISSION_DENIED');
});

it('a job ends for its own connector only', async () => {
  const [mine, other] = [await claimed(), await claimed()];
  const job = { jobId: mine.jobId, connectorId: mine.connectorId, state: JobState.JS_SUCCEEDED };
  const { endJob, recordJob } = worker.reconciliation;
  const ends = [
    { job, connectorId: other.connectorId, verifiedSince: new Date() },
    { job: { ...job, connectorId: other.connectorId } },
  ];
  for (const end of ends) {
    expect((await failure(withClaim(mine.claim, () => endJob(end)))).code).toBe('PERMISSION_DENIED');
  }
  const record = { job: { ...job, connectorId: other.connectorId } };
  expect((await failure(withClaim(mine.claim, () => recordJob(record)))).code).toBe('PERMISSION_DENIED');
  const unclaimed = { job: { ...job, jobId: 'made-up' }, connectorId: mine.connectorId };
  expect((await failure(endJob({ ...unclaimed, verifiedSince: new Date() }))).code).toBe('PERMISSION_DENIED');
});

it('a job that never claimed, or was not told of its claim, records its end', async () => {
  const { connectorId, jobId, claim } = await claimed();
  const { endJob, recordJob } = worker.reconciliation;
  const state = JobState.JS_FAILED;
  await recordJob({ job: { jobId: 'waits', connectorId, state: JobState.JS_QUEUED } });
  await endJob({ job: { jobId: 'waits', connectorId, state }, connectorId });
  await endJob({ job: { jobId, connectorId, state }, connectorId, runId: claim.runId });
  const next = { job: { jobId: 'next', connectorId }, connectorId, runId: 'r' };
  expect(await worker.reconciliation.claimConnector(next)).toMatchObject({ holderJobId: 'next' });
});

describe('the share of tables that may go at once', () => {
  const LIMITED = { policy: { missing: { ...DROPS.policy.missing, maxShare: 0.25 } } };
  /** A job that finds a connector with 8 tables. */
  async function next({ connectorId, jobId, claim }: Job, job: object = {}): Promise<Claim> {
    const end = { job: { jobId, connectorId, state: JobState.JS_SUCCEEDED }, connectorId };
    await withClaim(claim, () => worker.reconciliation.endJob(end));
    const runId = `run-of-job-${++count}`;
    const request = { connectorId, job: { jobId: `job-${count}`, connectorId, ...job }, runId };
    return { connectorId, runId, epoch: Number((await worker.reconciliation.claimConnector(request)).epoch) };
  }
  const mark = (claim: Claim, objectIds: string[]) =>
    withClaim(claim, () => worker.bindings.markMissing({ connectorId: claim.connectorId, kind, objectIds }));

  it('is that of a whole job, however many calls it makes, and a repeated call does not count', async () => {
    const job = await claimed(8, LIMITED);
    const claim = await next(job);
    expect((await failure(mark(claim, job.tableIds))).code).toBe('FAILED_PRECONDITION');
    expect(await mark(claim, job.tableIds.slice(0, 1))).toEqual({ marked: 1n });
    expect(await mark(claim, job.tableIds.slice(0, 1))).toEqual({ marked: 0n });
    expect(await mark(claim, job.tableIds.slice(0, 2))).toEqual({ marked: 1n });
    expect((await failure(mark(claim, job.tableIds.slice(2, 3)))).message).toMatch(
      /^job job-\d+ would mark 3 of 8 tables as missing: more than the share of 0.25 that may go at once\./,
    );
    const { bindings } = await worker.bindings.listBindings({ connectorId: job.connectorId, kind });
    expect(bindings).toHaveLength(6);
  });

  it('is that of all runs of a job, and another job has its own', async () => {
    const job = await claimed(8, LIMITED);
    const claim = await next(job);
    await mark(claim, job.tableIds.slice(0, 2));
    const again = { connectorId: job.connectorId, job: { jobId: `job-${count}` }, runId: 'run-2', continued: true };
    const { epoch } = await worker.reconciliation.claimConnector(again);
    const second = { ...claim, runId: 'run-2', epoch: Number(epoch) };
    expect((await failure(mark(second, job.tableIds.slice(2, 3)))).code).toBe('FAILED_PRECONDITION');
    const other = await next({ ...job, jobId: `job-${count}`, claim: second });
    expect(await mark(other, job.tableIds.slice(2, 3))).toEqual({ marked: 1n });
  });

  it('counts tables of the job itself if there were none before', async () => {
    const job = await claimed(8, LIMITED);
    expect((await failure(mark(job.claim, job.tableIds))).message).toContain('8 of 8 tables');
    expect(await mark(job.claim, job.tableIds.slice(0, 2))).toEqual({ marked: 2n });
  });

  it('does not count a table whose own metadata shows that it is gone', async () => {
    const job = await claimed(2, LIMITED);
    const claim = await next(job);
    const markOne = (objectIds: string[]) =>
      withClaim(claim, () =>
        worker.bindings.markMissing({ connectorId: job.connectorId, kind, objectIds, shownByMetadata: true }),
      );
    expect(await failure(markOne(job.tableIds))).toMatchObject(refusal('INVALID_ARGUMENT', 'only with one id'));
    expect(await markOne(job.tableIds.slice(0, 1))).toEqual({ marked: 1n });
  });

  it('is lifted by who triggers the job, and not by what a worker writes into its record', async () => {
    const job = await claimed(8, LIMITED);
    const forged = await next(job, { requestJson: JSON.stringify({ connector: 'x', allowMissing: true }) });
    expect((await failure(mark(forged, job.tableIds))).code).toBe('FAILED_PRECONDITION');
    const triggered = await admin.connectors.triggerReconcile({ connectorId: job.connectorId, allowMissing: true });
    const allowed = await next({ ...job, jobId: `job-${count}`, claim: forged }, { jobId: triggered.jobId });
    expect(await mark(allowed, job.tableIds)).toEqual({ marked: 8n });
  });

  it.each([
    [{}, 'FAILED_PRECONDITION'],
    [{ policy: { missing: { ...DROPS.policy.missing, dropAfter: { seconds: 60n, nanos: 0 } } } }, 'none dropped'],
    [DROPS, 'dropped'],
  ])('nothing is dropped against the policy %#', async (fields, expected) => {
    const job = await claimed(8, fields);
    const claim = await next(job);
    await mark(claim, job.tableIds.slice(0, 2));
    const dropped = withClaim(claim, () =>
      worker.reconciliation.dropMissing({ connectorId: job.connectorId, tableIds: job.tableIds }),
    ).then(({ dropped }) => (dropped === 2n ? 'dropped' : 'none dropped'));
    expect(await dropped.catch(async () => (await failure(dropped)).code)).toBe(expected);
  });
});
