import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { WorkflowHandle } from '@temporalio/client';
import type { AlertRequest, Progress, TableFailure } from '../../../src/contract/job.ts';
import { alertWorkflowId } from '../../../src/contract/job.ts';
import { ALERT_WORKFLOW, TASK_QUEUE, WAKE_SIGNAL } from '../../../src/contract/names.ts';
import { busy, fails, failsOnce, returns } from './behaviours.ts';
import { OWN_QUEUE, ReconcileEnvironment } from './reconcile-environment.ts';
import { StubUpstream } from './stub-upstream.ts';

let environment: ReconcileEnvironment;
beforeAll(async () => {
  environment = await ReconcileEnvironment.start();
});
afterAll(() => environment?.[Symbol.asyncDispose]());

describe('a job', () => {
  it('takes the steps of the data flow, and ingests only what changed', async () => {
    const upstream = new StubUpstream({ orders: 'changed', items: 'unchanged', tmp: 'filtered' });
    const { progress, message, failure } = await environment.reconcile(upstream);
    expect(upstream.steps).toEqual([
      'beginJob',
      'scanTables',
      'ingestTable orders',
      'reconcileMissing tables',
      'endJob JS_SUCCEEDED',
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
    const expected = { connectorId: 'con_lake', epoch: 1, ...options };
    expect(upstream.inputsOf('scanTables')).toEqual([expect.objectContaining(expected)]);
    expect(upstream.inputsOf('ingestTable')).toEqual([
      expect.objectContaining({ ...expected, table: { namespace: ['sales'], name: 'orders' } }),
    ]);
    expect(upstream.inputsOf('beginJob')).toMatchObject([
      { record: { jobId, connectorName: 'lake' }, request: { connector: 'lake', ...options }, hasDestination: false },
    ]);
    expect(upstream.inputsOf('endJob')).toMatchObject([
      { connectorId: 'con_lake', epoch: 1, bind: { catalogId: 'cat_1', namespaceId: 'ns_1' } },
    ]);
    expect(upstream.records.at(-1)).toMatchObject({
      ...{ jobId, connectorId: 'con_lake', connectorName: 'lake' },
      ...{ startedAtMs: expect.any(Number), finishedAtMs: expect.any(Number) },
    });
  });

  it('does not repeat a long request in the inputs of its activities', async () => {
    const namespaces = Array.from({ length: 300 }, (_, i) => `namespace ${i}`);
    const upstream = new StubUpstream({ orders: 'changed' });
    const { jobId, failure } = await environment.reconcile(upstream, { scope: { namespaces } });
    expect(failure).toBeUndefined();
    for (const input of [upstream.inputsOf('scanTables')[0], upstream.inputsOf('ingestTable')[0]]) {
      expect(input).toMatchObject({ requestOf: jobId });
      expect(input).not.toHaveProperty('scope');
    }
    expect(upstream.inputsOf('beginJob')).toMatchObject([{ request: { scope: { namespaces } } }]);
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
  it.each<[string, unknown]>([
    ['nothing', null],
    ['an unknown key', { ful: true }],
    ['a name that is no text', { connector: { toString: 1 } }],
    ['no connector', { connector: undefined }],
    ['too much', { scope: { namespaces: Array(8_000).fill('a namespace') } }],
  ])('refuses a request with %s before any other step, with a record, and answers queries', async (_, request) => {
    const upstream = new StubUpstream();
    const { jobId, failure } = await environment.reconcile(upstream, request as never);
    expect(failure).toMatchObject({
      type: 'RECONCILE_FAILED',
      message: expect.stringMatching(/^Failed: .*(invalid|bytes as JSON)/),
    });
    expect(upstream.steps).toEqual(['endJob JS_FAILED']);
    const [input] = upstream.inputsOf('endJob');
    expect(input).toMatchObject({ record: { jobId, connectorId: '', failures: [{ code: 'INVALID_ARGUMENT' }] } });
    expect(input).not.toHaveProperty('request');
    const handle = environment.temporal.client.workflow.getHandle(jobId);
    expect(await handle.query('progress')).toMatchObject({ state: 'JS_FAILED' });
    expect(await handle.query('failures')).toMatchObject([{ table: '', code: 'INVALID_ARGUMENT' }]);
  });

  it('fails early, with a record, if there is no such connector', async () => {
    const upstream = new StubUpstream().on('beginJob', fails('NOT_FOUND', "connector 'lake' does not exist"));
    const { jobId, failure } = await environment.reconcile(upstream);
    expect(upstream.steps).toEqual(['beginJob', 'endJob JS_FAILED']);
    expect(upstream.inputsOf('endJob')).toMatchObject([
      { request: { connector: 'lake' }, record: { connectorName: 'lake' } },
    ]);
    expect(failure).toEqual({ type: 'RECONCILE_FAILED', message: "Failed: connector 'lake' does not exist" });
    expect(await environment.temporal.client.workflow.getHandle(jobId).query<TableFailure[]>('failures')).toMatchObject(
      [{ table: '', code: 'NOT_FOUND' }],
    );
  });

  it('waits for the connector as JS_QUEUED until it is woken, and proceeds', async () => {
    const upstream = new StubUpstream({ orders: 'changed' }).on('beginJob', busy, busy);
    const handle = await environment.begin(upstream);
    const callsOf = async (count: number) => {
      while (upstream.steps.length < count) await new Promise((resolve) => setTimeout(resolve, 5));
      return handle.query<Progress>('progress');
    };
    const phase = 'waiting for job job-0, which has the connector or came first';
    expect(await callsOf(1)).toMatchObject({ state: 'JS_QUEUED' });
    await handle.signal(WAKE_SIGNAL);
    expect(await callsOf(2)).toMatchObject({ state: 'JS_QUEUED', phase });
    await handle.signal(WAKE_SIGNAL);
    await handle.result();
    expect(upstream.steps.slice(0, 4)).toEqual(['beginJob', 'beginJob', 'beginJob', 'scanTables']);
  });

  it('is not held up if the signal was lost: it looks again after some minutes', async () => {
    const upstream = new StubUpstream({ orders: 'changed' }).on('beginJob', busy);
    const handle = await environment.begin(upstream);
    const timer = async () => {
      const { events } = await handle.fetchHistory();
      return events?.flatMap((event) => event.timerStartedEventAttributes ?? []).at(0);
    };
    while (!(await timer())) await new Promise((resolve) => setTimeout(resolve, 20));
    expect(Number((await timer())?.startToFireTimeout?.seconds)).toBe(300);
    await handle.signal(WAKE_SIGNAL);
    await handle.result();
  });

  it('fails on a destination that conflicts, and releases the connector', async () => {
    const failure = { code: 'FAILED_PRECONDITION', message: 'catalog_id and catalog_name differ' };
    const upstream = new StubUpstream({ orders: 'changed' });
    upstream.on('beginJob', returns({ connector: upstream.connector, epoch: 1, failure }));
    const ended = await environment.reconcile(upstream);
    expect(upstream.steps).toEqual(['beginJob', 'endJob JS_FAILED']);
    expect(upstream.inputsOf('endJob')).toMatchObject([{ connectorId: 'con_lake', epoch: 1 }]);
    expect(upstream.inputsOf('endJob')[0]?.bind).toBeUndefined();
    expect(ended.failure).toMatchObject({ type: 'RECONCILE_FAILED', message: `Failed: ${failure.message}` });
    expect(ended.progress).toMatchObject({ state: 'JS_FAILED', errors: 1 });
  });

  it('outlasts a catalog that is away', async () => {
    const upstream = new StubUpstream({ orders: 'changed' })
      .on('beginJob', failsOnce('UNAVAILABLE'), failsOnce('UNAVAILABLE'))
      .on('endJob JS_SUCCEEDED', failsOnce('UNAVAILABLE'));
    expect((await environment.reconcile(upstream)).failure).toBeUndefined();
    expect(upstream.steps.at(-1)).toBe('endJob JS_SUCCEEDED (attempt 2)');
  });
});

describe('a run that finds nothing', () => {
  it('fails, binds nothing, and marks nothing missing', async () => {
    const upstream = new StubUpstream({ tmp: 'filtered' });
    const { failure } = await environment.reconcile(upstream);
    expect(failure?.message).toMatch(/^Failed: The connector's patterns include no table: they leave out 1 table/);
    expect(upstream.steps.slice(1)).toEqual(['scanTables', 'endJob JS_FAILED']);
    expect(upstream.inputsOf('endJob')[0]?.bind).toBeUndefined();
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
      ReconcilerTrigger: 'temporal',
      ReconcilerDryRun: false,
      ReconcilerPaused: false,
      ReconcilerOutcome: 'JS_FAILED',
    });
    // A workflow task that sets attributes which the cluster does not know would be retried forever.
    const unknown = new StubUpstream({ orders: 'changed' }).withConnector({ searchAttributes: false });
    expect(await attributesOf((await environment.reconcile(unknown)).jobId)).toEqual({});
  });

  it.each([
    [undefined, ['reconciler', 'reconciler-ingest', 'reconciler-scan']],
    [OWN_QUEUE, ['near-lake', 'near-lake-scan', 'reconciler']],
  ])('short steps and ingests run on queues of their own (connector: %s)', async (taskQueue, expected) => {
    const upstream = new StubUpstream({ orders: 'changed' }).withConnector({ taskQueue });
    const { jobId } = await environment.reconcile(upstream);
    const { events } = await environment.temporal.client.workflow.getHandle(jobId).fetchHistory();
    const queues = events?.flatMap((event) => event.activityTaskScheduledEventAttributes?.taskQueue?.name ?? []);
    expect([...new Set(queues)].sort()).toEqual(expected);
  });

  it('every activity has a summary', async () => {
    const upstream = new StubUpstream({ orders: 'changed' });
    const { jobId } = await environment.reconcile(upstream);
    const { events } = await environment.temporal.client.workflow.getHandle(jobId).fetchHistory();
    const scheduled = events?.filter((event) => event.activityTaskScheduledEventAttributes) ?? [];
    const summaries = scheduled.map(({ userMetadata }) =>
      JSON.parse(Buffer.from(userMetadata?.summary?.data ?? []).toString()),
    );
    expect(summaries).toEqual([
      'claims connector lake',
      'scans tables',
      'sales.orders',
      'looks for what is gone',
      'records the end, and releases the connector',
    ]);
  });
});

describe('the alert', () => {
  const failing = () => new StubUpstream({ orders: 'broken' }).with({ alert: { type: 'job.failed' } });

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
    expect(frame.at(-1)).toBe('endJob JS_FAILED');
  });

  it('is not sent if none is due', async () => {
    const due = failing().with({ alert: undefined });
    const { jobId } = await environment.reconcile(due);
    const alert = environment.temporal.client.workflow.getHandle(alertWorkflowId(jobId));
    await expect(alert.describe()).rejects.toThrow(/not found/);
  });

  it.each<[string, (upstream: StubUpstream) => StubUpstream]>([
    [
      'that was started before',
      (upstream) =>
        upstream.on('endJob JS_FAILED', async ({ input }) => {
          const { jobId } = (input as { record: { jobId: string } }).record;
          const workflowId = alertWorkflowId(jobId);
          const args = [{ type: 'job.failed', jobId, connectorName: 'lake' }];
          await environment.temporal.client.workflow.start(ALERT_WORKFLOW, { workflowId, taskQueue: TASK_QUEUE, args });
        }),
    ],
  ])('%s does not change how the job ends', async (_, prepared) => {
    const upstream = prepared(failing());
    const { failure } = await environment.reconcile(upstream);
    expect(failure).toMatchObject({ type: 'PARTIAL_FAILURE' });
  });
});
