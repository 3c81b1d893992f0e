import type { ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { declarationOf, SEARCH_ATTRIBUTES } from '../../../src/contract/search-attributes.ts';
import { ConnectorState } from '../../../src/generated/reconciler/v1/connectors.ts';
import { JobState, JobTrigger } from '../../../src/generated/reconciler/v1/jobs.ts';
import { type FakeServer, startFakeServer } from '../../connectors/rest/fake-server.ts';
import { poll } from '../../jest/poll.ts';
import { Processes, retried } from '../stack/processes.ts';
import { ROOT } from '../stack/running-stack.ts';

const WAREHOUSE = join(ROOT, 'samples/lakehouse');
const POLL = { timeout: 120_000, interval: 200 };

/** Real processes: Temporal, a catalog, and a worker for the default queues. */
let stack: Processes;
let worker: ChildProcess;
let catalogProcess: ChildProcess;
/** A server that never responds: jobs that read from it run until they are cancelled. */
let silent: FakeServer;

beforeAll(async () => {
  const attributes = Object.values(SEARCH_ATTRIBUTES).flatMap((key) => ['--search-attribute', declarationOf(key)]);
  stack = await Processes.start(...attributes);
  catalogProcess = await stack.startCatalog({ RECONCILER_TEMPORAL_UI: 'https://temporal.example.com' });
  worker = await stack.startWorker();
  silent = await startFakeServer(() => {});
});
afterAll(async () => {
  await stack[Symbol.asyncDispose]();
  await silent[Symbol.asyncDispose]();
});

const jobsOf = async (connectorId: string) => (await stack.catalog.jobs.listReconcileJobs({ connectorId })).jobs;
const jobOf = (jobId: string) => stack.catalog.connectors.getReconcileJob({ jobId });
const connectors = () => stack.catalog.connectors;
const connectorExists = (connectorId: string) =>
  connectors()
    .getConnector({ by: { $case: 'connectorId', value: connectorId } })
    .then(
      () => true,
      () => false,
    );
const scheduleIds = async () => {
  const ids: string[] = [];
  for await (const { scheduleId } of stack.temporal.schedule.list()) ids.push(scheduleId);
  return ids;
};

it('a schedule starts reconcile workflows until its connector is paused', async () => {
  const policy = { enabled: true, interval: { seconds: 3n } };
  const connectorId = await stack.connect('every few seconds', WAREHOUSE, { policy });
  await poll(async () => (await jobsOf(connectorId)).filter((j) => j.finishedAt).length, POLL).toBeGreaterThan(1);
  const jobs = (await jobsOf(connectorId)).filter((job) => job.finishedAt);
  for (const job of jobs) {
    expect(job).toMatchObject({
      state: JobState.JS_SUCCEEDED,
      trigger: JobTrigger.JOB_TRIGGER_SCHEDULE,
      connectorName: 'every few seconds',
      jobId: expect.stringMatching(/^reconcile-every-few-seconds-[0-9a-z]{6}-\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/),
      requestJson: JSON.stringify({ connector: connectorId, connectorName: 'every few seconds', trigger: 'schedule' }),
    });
  }
  expect(jobs.at(-1)).toMatchObject({ counters: { tablesChanged: 7n } });
  expect(jobs[0]).toMatchObject({ counters: { tablesChanged: 0n } });
  const { schedules } = await stack.catalog.schedules.listSchedules({ connectorId });
  expect(schedules[0]).toMatchObject({ when: 'every 3s', lastRunAt: expect.any(Date) });
  expect(schedules[0]?.lastJobId).toMatch(/^reconcile-every-few-seconds-/);
  const run = await stack.temporal.workflow.getHandle(jobs[0]?.jobId ?? '').describe();
  expect(await run.staticDetails()).toContain(
    '[all its runs](https://temporal.example.com/namespaces/default/workflows?query=ReconcilerConnector',
  );
  // The jobs can be found by their connector in the Temporal UI.
  const query = `ReconcilerConnector = 'every few seconds'`;
  await poll(async () => (await stack.temporal.workflow.count(query)).count, POLL).toBeGreaterThan(1);

  const connector = { connectorId, state: ConnectorState.CONNECTOR_STATE_PAUSED };
  await connectors().updateConnector({ connector, updateMask: ['state'] });
  await poll(
    async () => (await stack.catalog.schedules.listSchedules({ connectorId })).schedules[0]?.paused,
    POLL,
  ).toBe(true);
  await poll(async () => (await jobsOf(connectorId)).every((job) => job.finishedAt), POLL).toBe(true);
  const before = (await jobsOf(connectorId)).length;
  await new Promise((resolve) => setTimeout(resolve, 7_000));
  expect((await jobsOf(connectorId)).length).toBe(before);

  await connectors().deleteConnector({ connectorId });
  await poll(scheduleIds, POLL).not.toContain(`reconcile-${connectorId}`);
}, 300_000);

it('a connector with a task queue is read only by the workers of that queue', async () => {
  const connectorId = await stack.connect('far away', WAREHOUSE, { policy: { taskQueue: 'far' } });
  const jobId = await stack.trigger(connectorId);
  // The existing worker runs the workflow, but no worker reads the upstream.
  await poll(async () => (await jobOf(jobId)).message, POLL).toMatch(
    /^waiting since [\d: -]+ UTC: no worker polls task queue 'far-scan'\. Start one with `reconciler worker --task-queue far`$/,
  );
  const far = await stack.startWorker({}, '--task-queue', 'far');
  await poll(async () => (await jobOf(jobId)).state, POLL).toBe(JobState.JS_SUCCEEDED);

  const { events } = await stack.temporal.workflow.getHandle(jobId).fetchHistory();
  const queueOf = new Map<string, string>();
  const readers = new Set<string>();
  for (const { eventId, activityTaskScheduledEventAttributes: scheduled, ...event } of events ?? []) {
    if (scheduled) queueOf.set(String(eventId), scheduled.taskQueue?.name ?? '');
    const started = event.activityTaskStartedEventAttributes;
    if (started && queueOf.get(String(started.scheduledEventId)) !== 'reconciler')
      readers.add(started.identity?.split('@')[0] ?? '');
  }
  expect(new Set(queueOf.values())).toEqual(new Set(['reconciler', 'far', 'far-scan']));
  expect([...readers]).toEqual([String(far.pid)]);

  expect(await connectors().validateConnector({ target: { $case: 'connectorId', value: connectorId } })).toMatchObject({
    ok: true,
  });
  await stack.stop(far, 'SIGTERM');
  // The first worker still polls the default queue.
  const near = await stack.connect('near', WAREHOUSE);
  const nearJob = await stack.trigger(near);
  await poll(async () => (await jobOf(nearJob)).state, POLL).toBe(JobState.JS_SUCCEEDED);
}, 300_000);

it('deleting a connector cancels its running and waiting jobs and deletes its schedule and its tables', async () => {
  const uri = silent.url;
  const policy = { enabled: true, interval: { seconds: 3600n } };
  const connectorId = await stack.connect('doomed', WAREHOUSE, { policy, destination: { catalogName: 'doomed' } });
  const first = await stack.trigger(connectorId);
  await poll(async () => (await jobOf(first)).state, POLL).toBe(JobState.JS_SUCCEEDED);
  await connectors().updateConnector({ connector: { connectorId, uri }, updateMask: ['uri'] });
  const running = await stack.trigger(connectorId);
  await poll(() => silent.requests.length, POLL).toBeGreaterThan(0);
  const full = await connectors().triggerReconcile({ connectorId, full: true });
  await poll(async () => (await jobOf(full.jobId)).phase, POLL).toMatch('which has the connector');

  const unconfirmed = await stack.cli(['connector', 'delete', 'doomed', '--contents']);
  expect(unconfirmed.code).toBe(2);
  expect(unconfirmed.stderr).toMatch(/^error: .* 'doomed' and 7 tables with 35 snapshots, and 0 views$/m);
  const { code, stdout } = await stack.cli(['connector', 'delete', 'doomed', '--contents', '--yes']);
  expect([code, stdout]).toEqual([0, 'deleted doomed and 7 tables with 35 snapshots, and 0 views\n']);
  for (const jobId of [running, full.jobId]) expect(await jobOf(jobId)).toMatchObject({ state: JobState.JS_CANCELLED });
  await expect(stack.temporal.schedule.getHandle(`reconcile-${connectorId}`).describe()).rejects.toThrow(
    /not found|completed/,
  );
  const { catalogs } = await stack.catalog.catalogs.listCatalogs({});
  const { catalogId = '' } = catalogs.find(({ displayName }) => displayName === 'doomed') ?? {};
  const { namespaces } = await stack.catalog.namespaces.listNamespaces({ catalogId });
  expect(namespaces.length).toBeGreaterThan(0);
  for (const { namespaceId } of namespaces)
    expect((await stack.catalog.tables.listTables({ namespaceId })).tables).toEqual([]);
}, 300_000);

it('a deletion waits for a job that no worker can end, and continues after a crash of the catalog', async () => {
  const before = silent.requests.length;
  const connectorId = await stack.connect('stuck', WAREHOUSE);
  await connectors().updateConnector({ connector: { connectorId, uri: silent.url }, updateMask: ['uri'] });
  const jobId = await stack.trigger(connectorId);
  await poll(() => silent.requests.length, POLL).toBeGreaterThan(before);
  await stack.stop(worker);

  const { code, stderr } = await stack.cli(['connector', 'delete', 'stuck']);
  expect(code).toBe(1);
  expect(stderr).toContain(
    `connector 'stuck' is DELETING, but its job ${jobId} has not ended 60 s after being cancelled`,
  );
  expect(stderr).toContain(`temporal workflow terminate --workflow-id ${jobId}`);
  const refused = connectors().triggerReconcile({ connectorId });
  await expect(refused).rejects.toThrow(/FAILED_PRECONDITION.*'stuck' is DELETING/);

  await stack.stop(catalogProcess, 'SIGKILL');
  catalogProcess = await stack.startCatalog();
  expect(await connectorExists(connectorId)).toBe(true);
  worker = await stack.startWorker();
  await poll(() => retried(() => connectorExists(connectorId)), POLL).toBe(false);
  expect(await jobOf(jobId)).toMatchObject({ state: JobState.JS_CANCELLED });
}, 400_000);
