import type { ChildProcess } from 'node:child_process';
import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { JobState } from '../../../src/generated/reconciler/v1/jobs.ts';
import { WebhookReceiver } from '../../activities/alerts/webhook-receiver.ts';
import { waitFor } from '../../jest/wait-for.ts';
import { Processes } from '../stack/processes.ts';
import { ROOT } from '../stack/running-stack.ts';

const FIXTURES = join(ROOT, 'test/fixtures/iceberg');
/** These tables fill more than two pages. */
const TABLES = 900;

let processes: Processes;
const workers: Record<string, ChildProcess> = {};

beforeAll(async () => {
  const settings = [
    // Temporal suggests continue-as-new at 4,096 events by default; here after a page.
    'limit.historyCount.suggestContinueAsNew=40',
    // By default, Temporal reports a version without runs as drained only after three minutes.
    'matching.wv.VersionDrainageStatusVisibilityGracePeriod="1s"',
    'matching.wv.VersionDrainageStatusRefreshInterval="1s"',
  ];
  processes = await Processes.start(...settings.flatMap((setting) => ['--dynamic-config-value', setting]));
  await processes.startCatalog();
}, 120_000);
afterAll(() => processes?.[Symbol.asyncDispose]());

/** Starts a worker of a build and makes this build the current version. */
async function rollOut(build: string): Promise<void> {
  workers[build] = await processes.startWorker({ RECONCILER_DEPLOYMENT: 'lakes', RECONCILER_BUILD_ID: build });
  const version = ['--deployment-name', 'lakes', '--build-id', build];
  const current = ['worker', 'deployment', 'set-current-version', ...version, '--yes'];
  // Temporal accepts a version only after its worker has polled.
  await waitFor(async () => expect(await processes.temporalCli(...current)).toMatchObject({ code: 0 }), {
    timeout: 60_000,
    interval: 300,
  });
}

/** Returns the builds whose workers executed tasks of a run. */
async function buildsOf(jobId: string, runId?: string): Promise<string[]> {
  const { events } = await processes.temporal.workflow.getHandle(jobId, runId).fetchHistory();
  const identities = events!.map(
    (event) =>
      event.workflowTaskStartedEventAttributes?.identity ?? event.activityTaskStartedEventAttributes?.identity ?? '',
  );
  return Object.keys(workers).filter((build) =>
    identities.some((identity) => identity.startsWith(`${workers[build]!.pid}@`)),
  );
}

it('the first versioned build takes over a run that an unversioned worker started', async () => {
  const before = await processes.startWorker();
  const { jobId, releaseConnector } = await processes.triggerHeld(
    await processes.connect('first', join(FIXTURES, 'fs')),
  );
  await rollOut('v0');
  await processes.stop(before, 'SIGTERM');
  await releaseConnector();
  expect(await processes.ended(jobId)).toMatchObject({ state: JobState.JS_SUCCEEDED });
  expect(await buildsOf(jobId)).toEqual(['v0']);
  await processes.stop(workers.v0!);
}, 200_000);

it('a run stays on the build that started it, new runs start on the current build, and the old build drains', async () => {
  const connectorId = await processes.connect('lake', join(FIXTURES, 'fs'));
  await rollOut('v1');
  const { jobId, releaseConnector } = await processes.triggerHeld(connectorId);
  await rollOut('v2');
  await releaseConnector();
  expect(await processes.ended(jobId)).toMatchObject({ state: JobState.JS_SUCCEEDED });
  expect(await buildsOf(jobId)).toEqual(['v1']);

  const next = await processes.ended(await processes.trigger(connectorId));
  expect(next).toMatchObject({ state: JobState.JS_SUCCEEDED });
  expect(await buildsOf(next.jobId)).toEqual(['v2']);

  await waitFor(
    async () => {
      const { stdout } = await processes.temporalCli(
        'worker',
        'deployment',
        'describe',
        '--name',
        'lakes',
        '-o',
        'json',
      );
      const { versionSummaries } = JSON.parse(stdout) as {
        versionSummaries: { BuildID: string; drainageStatus: string }[];
      };
      expect(versionSummaries.find(({ BuildID }) => BuildID === 'v1')).toMatchObject({ drainageStatus: 'drained' });
    },
    { timeout: 120_000, interval: 500 },
  );
  await processes.stop(workers.v1!);
  const last = await processes.ended(await processes.trigger(connectorId));
  expect(await buildsOf(last.jobId)).toEqual(['v2']);
}, 400_000);

it('a long run moves to the current build when it continues as new', async () => {
  for (let i = 0; i < TABLES; i++) {
    const to = join(processes.folder, 'wh/n', `t${String(i).padStart(3, '0')}`, 'metadata');
    cpSync(join(FIXTURES, 'wh/fx/orders/metadata'), to, { recursive: true });
  }
  const { jobId, releaseConnector } = await processes.triggerHeld(
    await processes.connect('many', join(processes.folder, 'wh')),
  );
  await rollOut('v3');
  await releaseConnector();
  const job = await processes.ended(jobId);
  expect(job).toMatchObject({ state: JobState.JS_SUCCEEDED, counters: { tablesChanged: BigInt(TABLES) } });
  expect(await buildsOf(jobId, job.runId)).toEqual(['v2']);
  expect(await buildsOf(jobId)).toEqual(['v3']);
}, 300_000);

it('a worker without a build id derives its version from its code', async () => {
  const worker = await processes.startWorker({ RECONCILER_DEPLOYMENT: 'lakes' });
  await waitFor(async () => {
    const { stdout } = await processes.temporalCli('worker', 'deployment', 'describe', '--name', 'lakes');
    expect(stdout).toMatch(/\d+\.\d+\.\d+-[0-9a-f]{12}/);
  });
  await processes.stop(worker);
}, 60_000);

it("a job's alert is sent by the build on which the job ran", async () => {
  await using receiver = await WebhookReceiver.start();
  const alerts = { webhookUrl: receiver.origin };
  // This warehouse is so small that the run does not continue as new.
  const folder = join(processes.folder, 'told');
  cpSync(join(FIXTURES, 'wh/bad/truncated_metadata/metadata'), join(folder, 'n/bad/metadata'), { recursive: true });
  const connectorId = await processes.connect('told', folder, { alerts });
  await rollOut('a1');
  const { jobId, releaseConnector } = await processes.triggerHeld(connectorId);
  await rollOut('a2');
  await releaseConnector();
  expect(await processes.ended(jobId)).toMatchObject({ state: JobState.JS_FAILED });
  await processes.temporal.workflow
    .getHandle(jobId)
    .result()
    .catch(() => {});
  expect(await processes.temporal.workflow.getHandle(`alert-${jobId}`).result()).toBe('delivered');
  expect([await buildsOf(jobId), await buildsOf(`alert-${jobId}`)]).toEqual([['a1'], ['a1']]);
}, 200_000);
