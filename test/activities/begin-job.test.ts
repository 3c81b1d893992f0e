import { afterAll, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { ClientError, Status } from 'nice-grpc';
import { createControlActivities } from '../../src/activities/index.ts';
import type { ActivityDeps } from '../../src/activities/runtime/deps.ts';
import type { BeginInput } from '../../src/contract/activities.ts';
import type { ReconcileRequest } from '../../src/contract/job.ts';
import { CodedError } from '../../src/errors.ts';
import { JobState, JobTrigger } from '../../src/generated/reconciler/v1/jobs.ts';
import { TableFormat } from '../../src/generated/reconciler/v1/tables.ts';
import { connectorSpec, failure, TestCatalog } from '../catalog/harness.ts';
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
let describeJob: jest.Mock<ActivityDeps['jobs']['describe']>;
let connectorId: string;
let name: string;
let tests = 0;
/** Ids of jobs that no other test uses. */
let a: string;
let b: string;
let c: string;
let d: string;

async function connect(fields: object = {}): Promise<void> {
  const connector = await catalog.clients.connectors.createConnector({ connector: connectorSpec(fields) });
  ({ connectorId, displayName: name } = connector);
}

beforeEach(async () => {
  tests += 1;
  [a, b, c, d] = ['a', 'b', 'c', 'd'].map((letter) => `begin-${tests}-${letter}`) as [string, string, string, string];
  describeJob = jest.fn((jobId: string) => catalog.jobs.describe(jobId));
  deps = { ...activityDeps(catalog, new MemoryUpstream()), jobs: { describe: describeJob } };
  await connect({ destination: { catalogName: `begun ${tests}`, namespacePath: ['fx'] } });
});

interface Begin extends Partial<BeginInput> {
  runId?: string;
  from?: Partial<ActivityDeps>;
}

/** Begins a job on the connector, as the first run of its workflow does. */
function begin(jobId: string, { runId = `run-of-${jobId}`, from, ...more }: Begin = {}) {
  const record = jobRecord('', { jobId, runId, connectorName: name, progress: newProgress() });
  const request: ReconcileRequest = { connector: name, trigger: 'schedule' };
  const workflowExecution = { workflowId: jobId, runId };
  const { beginJob } = createControlActivities({ ...deps, ...from });
  return run(() => beginJob({ record, request, hasDestination: false, continued: false, ...more }), {
    workflowExecution,
  });
}

/** The record itself. */
const recordOf = (jobId: string) => catalog.clients.connectors.getReconcileJob({ jobId });
const isTerminated = (...jobIds: string[]) => {
  for (const jobId of jobIds) catalog.jobs.statuses.set(jobId, 'TERMINATED');
};
const runs = (...jobIds: string[]) => {
  for (const jobId of jobIds) catalog.jobs.statuses.set(jobId, 'RUNNING');
};

/** The same clients, whose `ensureDestination` fails. */
function withoutDestination(error: unknown): Partial<ActivityDeps> {
  const { reconciliation } = catalog.clients;
  const ensureDestination = () => Promise.reject(error);
  return { catalog: { ...catalog.clients, reconciliation: { ...reconciliation, ensureDestination } } };
}

describe('beginJob', () => {
  it('resolves and claims the connector, records the job as running, and ensures the destination', async () => {
    runs(a);
    const begun = await begin(a);
    expect(begun).toEqual({
      connector: expect.objectContaining({ connectorId, name, maxParallel: 8 }),
      epoch: 1,
      destination: {
        catalogId: expect.stringMatching(/./),
        namespaceId: expect.stringMatching(/./),
        before: { tables: 0, views: 0 },
      },
    });
    expect(await recordOf(a)).toMatchObject({
      ...{ connectorId, connectorName: name, state: JobState.JS_RUNNING },
      ...{ trigger: JobTrigger.JOB_TRIGGER_SCHEDULE, requestJson: expect.stringContaining(name) },
    });
    // What it ensures is checked against its claim, and exists.
    const { namespaceId } = begun.destination!;
    expect(await catalog.clients.namespaces.getNamespace({ namespaceId })).toMatchObject({ path: ['fx'] });
  });

  it('returns the same epoch to a repeated call, and another one to the next run', async () => {
    expect((await begin(a)).epoch).toBe(1);
    expect((await begin(a)).epoch).toBe(1);
    expect((await begin(a, { runId: 'next-run' })).epoch).toBe(2);
  });

  it('ensures no destination for a later run, which has it', async () => {
    const begun = await begin(a, { hasDestination: true, from: withoutDestination(new Error('not to be called')) });
    expect(begun).toMatchObject({ epoch: 1 });
    expect(begun).not.toHaveProperty('destination');
    expect(begun).not.toHaveProperty('failure');
  });

  it('names the job that is ahead, and records that the job waits', async () => {
    runs(a, b);
    await begin(a);
    const waiting = await begin(b);
    expect(waiting).toEqual({ connector: expect.objectContaining({ connectorId, name }), waitsFor: a });
    expect(await recordOf(b)).toMatchObject({ connectorId, state: JobState.JS_QUEUED });
    await catalog.endJob(connectorId, a);
    expect(await begin(b)).toMatchObject({ epoch: 2, destination: expect.anything() });
    expect(await recordOf(b)).toMatchObject({ state: JobState.JS_RUNNING });
  });

  it('passes over all jobs ahead that no longer run, with one call', async () => {
    runs(a, b, c, d);
    for (const jobId of [a, b, c]) await begin(jobId);
    isTerminated(a, b, c);
    expect(await begin(d)).toMatchObject({ epoch: 2, destination: expect.anything() });
    for (const jobId of [a, b, c]) expect(await recordOf(jobId)).toMatchObject({ state: JobState.JS_FAILED });
  });

  it('waits for the first job ahead that runs', async () => {
    runs(a, b, c, d);
    for (const jobId of [a, b, c]) await begin(jobId);
    isTerminated(a);
    expect(await begin(d)).toMatchObject({ waitsFor: b });
    expect(await begin(b)).toMatchObject({ epoch: 2 });
    expect(await begin(d)).toMatchObject({ waitsFor: b });
  });

  it('does not take the connector from a job that runs again since it was looked up', async () => {
    runs(a, b);
    await begin(a);
    describeJob.mockResolvedValue('TERMINATED');
    expect(await begin(b)).toMatchObject({ waitsFor: a });
    expect(describeJob).toHaveBeenCalledTimes(1);
  });

  it('is retried if Temporal cannot be asked about the job ahead', async () => {
    runs(a);
    await begin(a);
    describeJob.mockRejectedValue(new CodedError('UNAVAILABLE', 'Temporal is away'));
    await expect(begin(b)).rejects.toMatchObject({ type: 'UNAVAILABLE', nonRetryable: false });
  });

  it('returns what makes the job fail once it has the connector, so that the workflow releases it', async () => {
    runs(a);
    const { catalogId } = await catalog.namespace();
    // The id and the name do not agree.
    const destination = { catalogId, catalogName: 'another', namespacePath: ['fx'] };
    const { connectors } = catalog.clients;
    await connectors.updateConnector({ connector: { connectorId, destination }, updateMask: ['destination'] });
    const begun = await begin(a);
    expect(begun).toEqual({
      connector: expect.objectContaining({ connectorId }),
      epoch: 1,
      failure: { code: 'FAILED_PRECONDITION', message: expect.stringContaining('another') },
    });
    expect(await begin(b)).toMatchObject({ waitsFor: a });
  });

  it('is retried after transient errors, also once it has the connector', async () => {
    const away = new ClientError('EnsureDestination', Status.UNAVAILABLE, 'away');
    const failed = begin(a, { from: withoutDestination(away) });
    await expect(failed).rejects.toMatchObject({
      ...{ type: 'UNAVAILABLE', nonRetryable: false, message: 'The catalog service does not respond: away' },
    });
    expect(await begin(a)).toMatchObject({ epoch: 1, destination: expect.anything() });
  });

  it('fails for a connector that does not exist', async () => {
    const unknown = begin(a, { request: { connector: 'nobody' } });
    await expect(unknown).rejects.toMatchObject({ type: 'NOT_FOUND', nonRetryable: true });
  });

  it('creates nothing for a dry run, and records what it would create', async () => {
    runs(a);
    await begin(a, { request: { connector: name, dryRun: true } });
    const text = `begun ${tests}`;
    const resolved = catalog.clients.directory.resolve({ name: { $case: 'text', value: `"${text}"` } });
    expect(await failure(resolved)).toMatchObject({ code: 'NOT_FOUND' });
    const { changes } = await catalog.clients.jobs.listJobChanges({ jobId: a, pageSize: 10 });
    expect(changes).toHaveLength(2);
  });

  it('counts what the connector has brought in before', async () => {
    const { bindings } = catalog.clients;
    const { namespaceId } = await catalog.namespace();
    const upstream = { namespacePath: ['fx'], name: 't' };
    const format = TableFormat.TABLE_FORMAT_ICEBERG;
    await bindings.ensureTable({ connectorId, upstream, namespaceId, name: 't', format });
    expect((await begin(a)).destination?.before).toEqual({ tables: 1, views: 0 });
  });
});

describe('a job that has lost its claim', () => {
  const LOST = { type: 'CLAIM_LOST', nonRetryable: true };

  it('cannot claim again', async () => {
    await begin(a);
    await begin(a, { runId: 'later-run' });
    await expect(begin(a)).rejects.toMatchObject(LOST);
  });

  it('does not report that as a failure of its destination', async () => {
    const { reconciliation } = catalog.clients;
    const ensureDestination: typeof reconciliation.ensureDestination = async (request) => {
      await begin(a, { runId: 'later-run', hasDestination: true });
      return reconciliation.ensureDestination(request);
    };
    const losing = { catalog: { ...catalog.clients, reconciliation: { ...reconciliation, ensureDestination } } };
    await expect(begin(a, { from: losing })).rejects.toMatchObject(LOST);
  });
});
