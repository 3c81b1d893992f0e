import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import type { Progress, TableFailure } from '../../../src/contract/job.ts';
import { JobFailureKind, JobState, type ReconcileJob } from '../../../src/generated/reconciler/v1/jobs.ts';
import { type JobRun, jobRuns } from '../../synthetic/job-runs.ts';
import { SyntheticStack } from '../../synthetic/synthetic-stack.ts';
import {
  changedIn,
  faultsOf,
  namespaceOf,
  type SyntheticUpstream,
  tableName,
} from '../../synthetic/synthetic-upstream.ts';

/** Temporal suggests continue-as-new at 4,096 events by default. */
const SUGGESTED_EVENTS = 60;
/** Events of the packs in flight: at most three of their own for each, and three of a workflow task. */
const IN_FLIGHT_EVENTS = 8 * 6;
/** Events of a scan and of the final record. */
const LAST_EVENTS = 20;

const UPSTREAM: SyntheticUpstream = {
  tables: 4500,
  namespaces: 30,
  faults: [
    { every: 500, from: 3, code: 'DATA_LOSS' },
    { every: 600, from: 11, code: 'UNAVAILABLE', times: 2 },
    { every: 700, from: 20, code: 'RESOURCE_EXHAUSTED', times: 1, retryAfterMs: 20 },
    { every: 100, from: 5, delayMs: 20 },
  ],
  refused: [29],
};
const REPAIRED: SyntheticUpstream = { ...UPSTREAM, faults: [], refused: [], round: 1, changedShare: 0.02 };
const numbers = Array.from({ length: UPSTREAM.tables }, (_, table) => table);
const listed = numbers.filter((table) => !UPSTREAM.refused!.includes(namespaceOf(table, UPSTREAM)));
const withFault = (code: string) =>
  listed.filter((table) => faultsOf(table, UPSTREAM).some((fault) => fault.code === code)).map(tableName);
const broken = withFault('DATA_LOSS');

let stack: SyntheticStack;
let connectorId: string;
beforeAll(async () => {
  stack = await SyntheticStack.start({ settings: [`limit.historyCount.suggestContinueAsNew=${SUGGESTED_EVENTS}`] });
  connectorId = await stack.connect('made', stack.upstream('made', UPSTREAM));
}, 180_000);
afterAll(() => stack?.[Symbol.asyncDispose]());

it('a job reconciles thousands of tables in several runs, answers queries throughout, and retries failed tables one by one', async () => {
  const { jobId } = await stack.catalog.connectors.triggerReconcile({ connectorId });
  const watched = watch(jobId);
  const job = await stack.ended(jobId);
  const answers = await watched;

  expect(job).toMatchObject({
    state: JobState.JS_FAILED,
    counters: {
      tablesScanned: BigInt(listed.length),
      tablesChanged: BigInt(listed.length - broken.length),
      tablesUnchanged: 0n,
      snapshotsIngested: BigInt(listed.length - broken.length),
      errors: BigInt(broken.length + 1),
    },
  });
  expect(job.message).toMatch(`Partial failure (${broken.length + 1})`);
  const { failures } = await stack.catalog.jobs.listJobFailures({ jobId, pageSize: 1000 });
  expect(failures.map(({ table, code, kind }) => [table, code, kind]).sort()).toEqual(
    [
      ['namespace n0029', 'PERMISSION_DENIED', JobFailureKind.JOB_FAILURE_KIND_NAMESPACE],
      ...broken.map((name) => [pathOf(name), 'DATA_LOSS', JobFailureKind.JOB_FAILURE_KIND_TABLE]),
    ].sort(),
  );

  // Counters and failures carry over from run to run, so they never decrease between answers.
  expect(answers.length).toBeGreaterThan(5);
  for (const [i, { progress, failures }] of answers.entries()) {
    const before = answers[i - 1];
    if (!before) continue;
    expect(progress.counters.tablesScanned ?? 0).toBeGreaterThanOrEqual(before.progress.counters.tablesScanned ?? 0);
    expect(progress.counters.tablesChanged ?? 0).toBeGreaterThanOrEqual(before.progress.counters.tablesChanged ?? 0);
    expect(failures.length).toBeGreaterThanOrEqual(before.failures.length);
  }

  const runs: JobRun[] = [];
  for await (const run of jobRuns(stack.temporal, jobId)) runs.push(run);
  expect(runs.length).toBeGreaterThan(3);
  expect(new Set(answers.map(({ runId }) => runId)).size).toBeGreaterThan(1);
  for (const { events } of runs) {
    const fullAt = suggestedAt(events);
    // A busy workflow sees it when its next task begins, which may be after what was in flight.
    expect(fullAt).toBeLessThanOrEqual(SUGGESTED_EVENTS + IN_FLIGHT_EVENTS);
    // Others go on beside what is slow until the history is 2.4 times as long (HistoryLimit).
    expect(events.length).toBeLessThanOrEqual(fullAt * 2.4 + IN_FLIGHT_EVENTS + LAST_EVENTS);
  }

  // Tables are ingested one by one before packing begins, and after they failed in a pack.
  const single = runs.flatMap(singleTables);
  const retriedTables = single.filter(({ order }) => order >= 100);
  // If the upstream requests a wait, the pack itself waits.
  const faulty = [...broken, ...withFault('UNAVAILABLE')];
  for (const name of faulty)
    expect(single.map((table) => table.name).filter((ingested) => ingested === name)).toEqual([name]);
  expect(retriedTables.map(({ name }) => name).filter((name) => !faulty.includes(name))).toEqual([]);
  // Each was opened once in the pack, and then twice on its own.
  const unavailableAtFirst = retriedTables.filter(({ name }) => withFault('UNAVAILABLE').includes(name));
  expect(unavailableAtFirst.map(({ attempts }) => attempts)).toEqual(unavailableAtFirst.map(() => 2));
  expect(unavailableAtFirst.length).toBeGreaterThan(2);
}, 300_000);

it('the next job finds all tables unchanged, except those that failed', async () => {
  const job = await reconcile();
  expect(job).toMatchObject({
    state: JobState.JS_FAILED,
    counters: {
      tablesScanned: BigInt(listed.length),
      tablesExpected: BigInt(listed.length - broken.length),
      tablesChanged: 0n,
      tablesUnchanged: BigInt(listed.length - broken.length),
      tablesMissing: 0n,
      errors: BigInt(broken.length + 1),
    },
  });
  // Pages grow to about a thousand tables while nothing changes.
  for await (const { events } of jobRuns(stack.temporal, job.jobId)) {
    const scans = events.filter(
      (event) => event.activityTaskScheduledEventAttributes?.activityType?.name === 'scanTables',
    );
    expect(scans.length).toBeLessThan(12);
  }
}, 300_000);

it('a later job ingests the tables that changed since and those that no longer fail', async () => {
  stack.upstream('made', REPAIRED);
  const unlisted = numbers.filter((table) => !listed.includes(table)).map(tableName);
  const changed = new Set([...changedIn(1, REPAIRED).map(tableName), ...broken, ...unlisted]);
  expect(await reconcile()).toMatchObject({
    state: JobState.JS_SUCCEEDED,
    counters: {
      tablesScanned: BigInt(UPSTREAM.tables),
      tablesChanged: BigInt(changed.size),
      tablesUnchanged: BigInt(UPSTREAM.tables - changed.size),
      tablesMissing: 0n,
    },
  });
}, 300_000);

interface Answer {
  runId: string;
  progress: Progress;
  failures: TableFailure[];
}

/** Queries the job's workflow and the catalog for as long as the job runs. */
async function watch(jobId: string): Promise<Answer[]> {
  const answers: Answer[] = [];
  const handle = stack.temporal.workflow.getHandle(jobId);
  for (;;) {
    const progress = await handle.query<Progress>('progress');
    const failures = await handle.query<TableFailure[]>('failures');
    const [{ runId }, job] = await Promise.all([
      handle.describe(),
      stack.catalog.connectors.getReconcileJob({ jobId }),
    ]);
    answers.push({ runId, progress, failures });
    if (job.state !== JobState.JS_QUEUED && job.state !== JobState.JS_RUNNING) return answers;
    await sleep(50);
  }
}

async function reconcile(): Promise<ReconcileJob> {
  const { jobId } = await stack.catalog.connectors.triggerReconcile({ connectorId });
  return stack.ended(jobId);
}

/** Length of the history when Temporal first suggested to continue as new. */
function suggestedAt(events: JobRun['events']): number {
  const task = events.find((event) => event.workflowTaskStartedEventAttributes?.suggestContinueAsNew);
  return Number(task?.eventId ?? events.length);
}

/** Returns the tables that a run ingested one by one, with the number of attempts of each. */
function singleTables({ events }: JobRun): { name: string; attempts: number; order: number }[] {
  return events.flatMap((event) => {
    const scheduled = event.activityTaskScheduledEventAttributes;
    if (scheduled?.activityType?.name !== 'ingestTable') return [];
    const { table } = JSON.parse(Buffer.from(scheduled.input!.payloads![0]!.data!).toString());
    const started = events.find(
      ({ activityTaskStartedEventAttributes: s }) => s && String(s.scheduledEventId) === String(event.eventId),
    );
    const attempts = started?.activityTaskStartedEventAttributes?.attempt ?? 0;
    return [{ name: table.name, attempts, order: Number(table.name.slice(1)) }];
  });
}

function pathOf(name: string): string {
  return `n${String(Number(name.slice(1)) % UPSTREAM.namespaces).padStart(4, '0')}.${name}`;
}
