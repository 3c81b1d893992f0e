import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { WorkflowHandle } from '@temporalio/client';
import type { AlertRequest, Progress, TableFailure } from '../../../src/contract/job.ts';
import { alertWorkflowId } from '../../../src/contract/job.ts';
import { ALERT_WORKFLOW, TASK_QUEUE } from '../../../src/contract/names.ts';
import { busy, fails, failsOnce } from './behaviours.ts';
import { ReconcileEnvironment } from './reconcile-environment.ts';
import { StubUpstream } from './stub-upstream.ts';

let environment: ReconcileEnvironment;
beforeAll(async () => {
  environment = await ReconcileEnvironment.start();
});
afterAll(() => environment?.[Symbol.asyncDispose]());

/** How often the job's history has an activity: retries add no events. */
async function scheduledEvents(jobId: string, activity: string): Promise<number> {
  const { events } = await environment.temporal.client.workflow.getHandle(jobId).fetchHistory();
  const scheduled = events?.flatMap((event) => event.activityTaskScheduledEventAttributes ?? []) ?? [];
  return scheduled.filter(({ activityType }) => activityType?.name === activity).length;
}

describe('a job', () => {
  it('takes the steps of the data flow, and ingests only what changed', async () => {
    const upstream = new StubUpstream({ orders: 'changed', items: 'unchanged', tmp: 'filtered' });
    const { progress, message, failure } = await environment.reconcile(upstream);
    expect(upstream.steps).toEqual([
      'resolveConnector',
      'recordJob JS_QUEUED',
      'claimConnector',
      'ensureDestination',
      'scanTables',
      'ingestTable orders',
      'reconcileMissing tables',
      'bindDestination',
      'recordJob JS_SUCCEEDED',
      'releaseConnector',
    ]);
    expect(failure).toBeUndefined();
    expect(message).toBe('1 table changed, 1 unchanged');
    expect(progress).toMatchObject({
      ...{ state: 'JS_SUCCEEDED', phase: 'finished', inFlight: [], errors: 0 },
      ...{ tablesScanned: 2, tablesChanged: 1, tablesUnchanged: 1, tablesFiltered: 1 },
      ...{ snapshotsIngested: 1, filesIngested: 2, bytesRead: 100, upstreamRequests: 4 },
    });
  });

  it('passes its options on to scans and ingests, and its place to the catalog', async () => {
    const upstream = new StubUpstream({ orders: 'changed' });
    const options = { full: true, mode: 'METADATA_ONLY', snapshots: { kind: 'CURRENT' } } as const;
    const { jobId } = await environment.reconcile(upstream, options);
    const expected = { connectorId: 'con_lake', ...options };
    expect(upstream.inputsOf('scanTables')).toEqual([expect.objectContaining(expected)]);
    expect(upstream.inputsOf('ingestTable')).toEqual([
      expect.objectContaining({ ...expected, table: { namespace: ['sales'], name: 'orders' } }),
    ]);
    expect(upstream.inputsOf('claimConnector')).toEqual([{ connectorId: 'con_lake', jobId }]);
    expect(upstream.inputsOf('bindDestination')).toEqual([
      { connectorId: 'con_lake', catalogId: 'cat_1', namespaceId: 'ns_1' },
    ]);
    expect(upstream.records.at(-1)).toMatchObject({
      ...{ jobId, connectorId: 'con_lake', connectorName: 'lake', full: true },
      request: { connector: 'lake', ...options },
      ...{ startedAtMs: expect.any(Number), finishedAtMs: expect.any(Number) },
    });
  });

  it('expects as many tables as the connector has, unless the run is narrowed', async () => {
    const before = { tables: 7, views: 0 };
    const destination = { catalogId: 'cat_1', namespaceId: 'ns_1', before };
    const run = (request = {}) =>
      environment.reconcile(new StubUpstream({ orders: 'changed' }).with({ destination }), request);
    expect((await run()).progress.tablesExpected).toBe(7);
    expect((await run({ scope: { table: 'orders' } })).progress.tablesExpected).toBe(0);
  });

  it('retries only what failed in another job, and says so', async () => {
    const upstream = new StubUpstream({ orders: 'changed' });
    let phase = '';
    let handle: WorkflowHandle | undefined;
    upstream.on('ingestTable orders', async () => {
      phase = (await handle?.query<Progress>('progress'))?.phase ?? '';
    });
    handle = await environment.begin(upstream, { retryOf: 'job-1' });
    await handle.result();
    expect(upstream.inputsOf('scanTables')).toEqual([expect.objectContaining({ retryOf: 'job-1' })]);
    expect(phase).toBe('trying again what failed in job-1');
    expect(upstream.work).toEqual(['scanTables', 'ingestTable orders']);
  });
});

describe('the beginning', () => {
  it('refuses a request that is not one before any step', async () => {
    const upstream = new StubUpstream();
    const { failure } = await environment.reconcile(upstream, { ful: true } as never);
    expect(failure).toMatchObject({ type: 'INVALID_ARGUMENT' });
    expect(upstream.steps).toEqual([]);
  });

  it('fails early, with a record, if there is no such connector', async () => {
    const upstream = new StubUpstream().on('resolveConnector', fails('NOT_FOUND', "connector 'lake' does not exist"));
    const { jobId, failure } = await environment.reconcile(upstream);
    expect(upstream.steps).toEqual(['resolveConnector', 'recordJob JS_FAILED']);
    expect(failure).toEqual({ type: 'RECONCILE_FAILED', message: "Failed: connector 'lake' does not exist" });
    expect(await environment.temporal.client.workflow.getHandle(jobId).query<TableFailure[]>('failures')).toMatchObject(
      [{ table: '', code: 'NOT_FOUND' }],
    );
  });

  it('waits for the connector as JS_QUEUED, which costs no history, and proceeds', async () => {
    let waiting: Progress | undefined;
    let handle: WorkflowHandle | undefined;
    const upstream = new StubUpstream({ orders: 'changed' }).on('claimConnector', busy, busy, async () => {
      waiting = await handle?.query<Progress>('progress');
    });
    handle = await environment.begin(upstream);
    await handle.result();
    expect(waiting).toMatchObject({ state: 'JS_QUEUED', phase: 'waiting for the connector' });
    expect(upstream.steps.slice(1, 6)).toEqual([
      'recordJob JS_QUEUED',
      'claimConnector',
      'claimConnector (attempt 2)',
      'claimConnector (attempt 3)',
      'ensureDestination',
    ]);
    expect(await scheduledEvents(handle.workflowId, 'claimConnector')).toBe(1);
  });

  it('fails on a destination that conflicts, and releases the connector', async () => {
    const upstream = new StubUpstream({ orders: 'changed' }).on('ensureDestination', fails('ALREADY_EXISTS'));
    const { failure, progress } = await environment.reconcile(upstream);
    expect(upstream.steps.slice(3)).toEqual(['ensureDestination', 'recordJob JS_FAILED', 'releaseConnector']);
    expect(failure).toMatchObject({ type: 'RECONCILE_FAILED' });
    expect(progress).toMatchObject({ state: 'JS_FAILED', errors: 1 });
  });

  it('outlasts a catalog that is away', async () => {
    const upstream = new StubUpstream({ orders: 'changed' })
      .on('ensureDestination', failsOnce('UNAVAILABLE'), failsOnce('UNAVAILABLE'))
      .on('releaseConnector', failsOnce('UNAVAILABLE'));
    expect((await environment.reconcile(upstream)).failure).toBeUndefined();
    expect(upstream.steps.at(-1)).toBe('releaseConnector (attempt 2)');
  });
});

describe('a run that finds nothing', () => {
  it('fails, binds nothing, and marks nothing missing', async () => {
    const upstream = new StubUpstream({ tmp: 'filtered' });
    const { failure } = await environment.reconcile(upstream);
    expect(failure?.message).toMatch(/^Failed: The connector's patterns include none of the 1 upstream tables/);
    expect(upstream.steps.slice(4)).toEqual(['scanTables', 'recordJob JS_FAILED', 'releaseConnector']);
    expect(upstream.records.at(-1)?.failures).toMatchObject([{ table: '', code: 'NOT_FOUND' }]);
  });

  it('succeeds if that is allowed', async () => {
    const upstream = new StubUpstream();
    const { failure } = await environment.reconcile(upstream, { allowMissing: true });
    expect(failure).toBeUndefined();
    expect(upstream.inputsOf('reconcileMissing')).toEqual([expect.objectContaining({ allowMissing: true })]);
  });
});

describe('while it runs', () => {
  it('queries show what is in flight, the counters and the failures so far', async () => {
    let seen: unknown;
    let handle: WorkflowHandle | undefined;
    const upstream = new StubUpstream({ a: 'broken', b: 'changed', c: 'changed' }).on('ingestTable c', async () => {
      seen = [await handle?.query('progress'), await handle?.query('failures')];
    });
    handle = await environment.begin(upstream);
    await handle.result().catch(() => {});
    expect(seen).toMatchObject([
      {
        ...{ state: 'JS_RUNNING', phase: 'scanning and ingesting tables', inFlight: ['sales.c'] },
        counters: { tablesScanned: 3, tablesChanged: 1, errors: 1 },
      },
      [{ table: 'sales.a', code: 'DATA_LOSS', message: 'the manifest is truncated' }],
    ]);
  });

  it('search attributes name its connector, and then its outcome', async () => {
    const attributesOf = async (jobId: string) => {
      const { typedSearchAttributes } = await environment.temporal.client.workflow.getHandle(jobId).describe();
      const ours = typedSearchAttributes.getAll().filter(({ key }) => key.name.startsWith('Reconciler'));
      return Object.fromEntries(ours.map(({ key, value }) => [key.name, value]));
    };
    const full = await environment.reconcile(new StubUpstream({ orders: 'broken' }), { full: true });
    expect(await attributesOf(full.jobId)).toEqual({
      ReconcilerConnector: 'lake',
      ReconcilerTenant: 'default',
      ReconcilerMode: 'full',
      ReconcilerOutcome: 'JS_FAILED',
    });
    // A workflow task that sets attributes which the cluster does not know would be retried forever.
    const unknown = new StubUpstream({ orders: 'changed' }).withConnector({ searchAttributes: false });
    expect(await attributesOf((await environment.reconcile(unknown)).jobId)).toEqual({});
  });

  it("activities that read the upstream run on the connector's own queue", async () => {
    const upstream = new StubUpstream({ orders: 'changed' }).withConnector({ taskQueue: TASK_QUEUE });
    const { jobId } = await environment.reconcile(upstream);
    const { events } = await environment.temporal.client.workflow.getHandle(jobId).fetchHistory();
    const queues = events?.flatMap((event) => event.activityTaskScheduledEventAttributes?.taskQueue?.name ?? []);
    expect(new Set(queues)).toEqual(new Set([TASK_QUEUE]));
  });
});

describe('the alert', () => {
  const failing = () =>
    new StubUpstream({ orders: 'broken' }).withConnector({ alerts: true }).with({ alert: { type: 'job.failed' } });

  it('is sent by a workflow that outlives the job', async () => {
    let jobHasEnded = () => {};
    const ended = new Promise<void>((resolve) => {
      jobHasEnded = resolve;
    });
    const upstream = failing().on('deliverAlert', () => ended);
    const { jobId } = await environment.reconcile(upstream);
    jobHasEnded();
    const alert = environment.temporal.client.workflow.getHandle(alertWorkflowId(jobId));
    expect(await alert.result()).toBe('sent');
    expect(upstream.inputsOf('deliverAlert')).toEqual([
      { type: 'job.failed', jobId, connectorName: 'lake' } satisfies AlertRequest,
    ]);
    const frame = upstream.steps.filter((step) => step !== 'deliverAlert');
    expect(frame.slice(-3)).toEqual(['recordJob JS_FAILED', 'takeAlert', 'releaseConnector']);
  });

  it('is not sent if none is due, and not asked for if the connector has no webhook', async () => {
    const due = failing().with({ alert: undefined });
    await environment.reconcile(due);
    expect(due.steps.slice(-2)).toEqual(['takeAlert', 'releaseConnector']);
    const without = failing().withConnector({ alerts: false });
    await environment.reconcile(without);
    expect(without.steps).not.toContain('takeAlert');
  });

  it.each<[string, (upstream: StubUpstream) => StubUpstream]>([
    ['that cannot be claimed', (upstream) => upstream.on('takeAlert', fails('INTERNAL'))],
    [
      'that was started before',
      (upstream) =>
        upstream.on('takeAlert', async ({ input }) => {
          const { jobId } = input as { jobId: string };
          const workflowId = alertWorkflowId(jobId);
          const args = [{ type: 'job.failed', jobId, connectorName: 'lake' }];
          await environment.temporal.client.workflow.start(ALERT_WORKFLOW, { workflowId, taskQueue: TASK_QUEUE, args });
        }),
    ],
  ])('%s does not change how the job ends', async (_, prepared) => {
    const upstream = prepared(failing());
    const { failure } = await environment.reconcile(upstream);
    expect(failure).toMatchObject({ type: 'PARTIAL_FAILURE' });
    expect(upstream.steps.at(-1)).toBe('releaseConnector');
  });
});
