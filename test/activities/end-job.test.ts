import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { ClientError, Status } from 'nice-grpc';
import { pino } from 'pino';
import { createControlActivities } from '../../src/activities/index.ts';
import type { ActivityDeps } from '../../src/activities/runtime/deps.ts';
import type { Destination, EndInput, JobRecord } from '../../src/contract/activities.ts';
import type { Progress, ReconcileRequest } from '../../src/contract/job.ts';
import { JobState } from '../../src/generated/reconciler/v1/jobs.ts';
import { connectorSpec, TestCatalog } from '../catalog/harness.ts';
import { newProgress } from '../synthetic/new-progress.ts';
import { activityDeps } from './activity-deps.ts';
import { MemoryUpstream } from './memory-upstream.ts';
import { jobRecord, run } from './run-activity.ts';

let catalog: TestCatalog;
beforeAll(async () => {
  catalog = await TestCatalog.start();
});
afterAll(() => catalog[Symbol.asyncDispose]());

let deps: ActivityDeps;
let log: string[];
let connectorId: string;
let name: string;
let tests = 0;
/** Ids of jobs that no other test uses. */
let a: string;
let b: string;
let c: string;

beforeEach(async () => {
  tests += 1;
  [a, b, c] = ['a', 'b', 'c'].map((letter) => `end-${tests}-${letter}`) as [string, string, string];
  log = [];
  const logger = pino({ level: 'warn' }, { write: (line: string) => void log.push(line) });
  deps = { ...activityDeps(catalog, new MemoryUpstream(), logger), jobs: catalog.jobs };
  await connect();
});

async function connect(fields: object = {}): Promise<void> {
  const destination = { catalogName: `ended ${tests}`, namespacePath: ['fx'] };
  const spec = connectorSpec({ destination, alerts: { webhookUrl: 'https://hooks.example.com/x' }, ...fields });
  ({ connectorId, displayName: name } = await catalog.clients.connectors.createConnector({ connector: spec }));
}

const recordIn = (jobId: string, state: Progress['state'], fields: Partial<JobRecord> = {}) =>
  jobRecord(connectorId, {
    ...{ jobId, runId: `run-of-${jobId}`, connectorName: name },
    progress: { ...newProgress(), state, phase: '' },
    ...fields,
  });

/** Runs a step of a job as its workflow does. */
function step<T>(jobId: string, work: () => Promise<T>, runId = `run-of-${jobId}`): Promise<T> {
  return run(work, { workflowExecution: { workflowId: jobId, runId } });
}

async function begin(jobId: string, request: Partial<ReconcileRequest> = {}, runId?: string) {
  catalog.jobs.statuses.set(jobId, 'RUNNING');
  const input = { record: recordIn(jobId, 'JS_QUEUED'), request: { connector: name, ...request } };
  const { beginJob } = createControlActivities(deps);
  const begun = await step(jobId, () => beginJob({ ...input, hasDestination: false, continued: false }), runId);
  return { epoch: begun.epoch!, destination: begun.destination as Destination };
}

interface End extends Partial<EndInput> {
  state?: Progress['state'];
  from?: Partial<ActivityDeps>;
}

function end(jobId: string, { state = 'JS_SUCCEEDED', from, ...more }: End) {
  const { endJob } = createControlActivities({ ...deps, ...from });
  return step(jobId, () => endJob({ connectorId, record: recordIn(jobId, state), ...more }));
}

/** Begins a job and ends it. */
async function through(jobId: string, state: Progress['state'], request: Partial<ReconcileRequest> = {}) {
  const { epoch } = await begin(jobId, request);
  return end(jobId, { epoch, state });
}

const storedConnector = () =>
  catalog.clients.connectors.getConnector({ by: { $case: 'connectorId', value: connectorId } });
const storedJob = (jobId: string) => catalog.clients.connectors.getReconcileJob({ jobId });

describe('endJob', () => {
  it('binds the destination, records the end with its failures, and releases the connector', async () => {
    const { epoch, destination } = await begin(a);
    const failures = [{ table: 'fx.t', code: 'DATA_LOSS', message: 'broken', failedAtMs: Date.now() }];
    const record = recordIn(a, 'JS_SUCCEEDED', { failures, message: 'done' });
    const { catalogId, namespaceId } = destination;
    expect(await end(a, { epoch, record, bind: { catalogId, namespaceId } })).toEqual({});
    expect(await storedConnector()).toMatchObject({ runningJobId: '', destination: { catalogId, namespaceId } });
    expect(await storedJob(a)).toMatchObject({ state: JobState.JS_SUCCEEDED, message: 'done', connectorId });
    const listed = await catalog.clients.jobs.listJobFailures({ jobId: a, pageSize: 10 });
    expect(listed.failures).toMatchObject([{ table: 'fx.t', code: 'DATA_LOSS' }]);
    expect(await begin(b)).toMatchObject({ epoch: 2 });
  });

  it('binds nothing if the job is not to bind', async () => {
    const { epoch } = await begin(a);
    await end(a, { epoch, state: 'JS_CANCELLED' });
    expect((await storedConnector()).destination).toMatchObject({ catalogId: '', namespaceId: '' });
    expect(await storedJob(a)).toMatchObject({ state: JobState.JS_CANCELLED });
  });

  it('wakes the job that waits', async () => {
    const { epoch } = await begin(a);
    await begin(b);
    catalog.jobs.woken.length = 0;
    await end(a, { epoch });
    expect(catalog.jobs.woken).toEqual([b]);
  });

  it('returns the alerts that are due: for a failure, for no second one, and for the recovery', async () => {
    expect(await through(a, 'JS_FAILED')).toEqual({ alert: { type: 'job.failed' } });
    expect(await through(b, 'JS_FAILED')).toEqual({});
    expect(await through(c, 'JS_SUCCEEDED')).toEqual({ alert: { type: 'job.recovered', failedJobId: a } });
    expect(await through(`${c}2`, 'JS_SUCCEEDED')).toEqual({});
  });

  it('returns no alert of a connector without a webhook, nor of a job that was narrowed', async () => {
    expect(await through(a, 'JS_FAILED', { scope: { table: 't' } })).toEqual({});
    await connect({ alerts: undefined });
    expect(await through(b, 'JS_FAILED')).toEqual({});
  });

  it('can be repeated, and returns the same alert then', async () => {
    const { epoch, destination: bind } = await begin(a);
    const input = { epoch, bind, state: 'JS_FAILED' as const };
    expect(await end(a, input)).toEqual({ alert: { type: 'job.failed' } });
    const record = await storedJob(a);
    expect(await end(a, input)).toEqual({ alert: { type: 'job.failed' } });
    expect(await storedJob(a)).toEqual(record);
    // By then another job has the connector.
    await begin(b);
    expect(await end(a, input)).toEqual({ alert: { type: 'job.failed' } });
    expect(await storedConnector()).toMatchObject({ runningJobId: b });
  });

  it('can be repeated although the connector could not be bound', async () => {
    const { epoch, destination: bind } = await begin(a);
    const refused = withBinding(new ClientError('BindDestination', Status.FAILED_PRECONDITION, 'no'));
    expect(await end(a, { epoch, bind, state: 'JS_FAILED', from: refused })).toEqual({ alert: { type: 'job.failed' } });
    expect(log.join()).toContain('cannot be bound to its destination');
    expect(await end(a, { epoch, bind, state: 'JS_FAILED' })).toEqual({ alert: { type: 'job.failed' } });
  });

  it('is retried if the connector cannot be bound now: nothing has ended then', async () => {
    const { epoch, destination: bind } = await begin(a);
    const from = withBinding(new ClientError('BindDestination', Status.UNAVAILABLE, 'away'));
    await expect(end(a, { epoch, bind, from })).rejects.toMatchObject({ type: 'UNAVAILABLE', nonRetryable: false });
    expect(await storedConnector()).toMatchObject({ runningJobId: a });
    expect(await end(a, { epoch, bind })).toEqual({});
    expect((await storedConnector()).destination).toMatchObject({ catalogId: bind.catalogId });
  });

  it('records a job that never had a connector, with its request', async () => {
    const record = { ...recordIn(a, 'JS_FAILED', { message: 'no such connector' }), connectorId: '' };
    const request = { connector: 'nobody', full: true };
    expect(await end(a, { connectorId: undefined, record, request })).toEqual({});
    expect(await storedJob(a)).toMatchObject({
      ...{ state: JobState.JS_FAILED, message: 'no such connector', connectorId: '' },
      ...{ full: true, requestJson: JSON.stringify(request) },
    });
  });

  it('keeps the request that was recorded when the job began', async () => {
    await through(a, 'JS_SUCCEEDED', { full: true });
    const job = await storedJob(a);
    expect(job.full).toBe(true);
    expect(JSON.parse(job.requestJson)).toMatchObject({ connector: name, full: true });
  });

  it('of a run that has lost its claim fails, and neither ends nor binds anything', async () => {
    const { epoch, destination: bind } = await begin(a);
    await begin(a, {}, 'later-run');
    await expect(end(a, { epoch, bind })).rejects.toMatchObject({ type: 'CLAIM_LOST', nonRetryable: true });
    expect(await storedConnector()).toMatchObject({ runningJobId: a, destination: { catalogId: '' } });
    expect(await storedJob(a)).toMatchObject({ state: JobState.JS_RUNNING });
    expect(log).toEqual([]);
  });

  /** The same clients, whose `bindDestination` fails. */
  function withBinding(error: unknown): Partial<ActivityDeps> {
    const { reconciliation } = catalog.clients;
    const bindDestination = () => Promise.reject(error);
    return { catalog: { ...catalog.clients, reconciliation: { ...reconciliation, bindDestination } } };
  }
});
