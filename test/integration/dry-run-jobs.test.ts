import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { countersOf } from '../../src/contract/progress-message.ts';
import { ObjectKind } from '../../src/generated/reconciler/internal/v1/bindings.ts';
import { ConnectorState } from '../../src/generated/reconciler/v1/connectors.ts';
import { type JobChange, JobState } from '../../src/generated/reconciler/v1/jobs.ts';
import { SyntheticStack } from '../synthetic/synthetic-stack.ts';
import type { SyntheticUpstream } from '../synthetic/synthetic-upstream.ts';
import { catalogContents } from './contents/catalog-contents.ts';

/** These tables fill several pages and are packed, and the job takes several runs. */
const TABLES = 330;

let stack: SyntheticStack;
beforeAll(async () => {
  // Temporal suggests continue-as-new at 4,096 events by default; here it does so while the first packs run.
  stack = await SyntheticStack.start({ settings: ['limit.historyCount.suggestContinueAsNew=40'] });
}, 180_000);
afterAll(() => stack?.[Symbol.asyncDispose]());

const contents = () => catalogContents(join(stack.folder, 'catalog.db'));
const setState = (connectorId: string, state: ConnectorState) =>
  stack.catalog.connectors.updateConnector({ connector: { connectorId, state }, updateMask: ['state'] });
const slow = (delayMs: number): SyntheticUpstream => ({
  tables: TABLES,
  namespaces: 3,
  faults: [{ every: 1, delayMs }],
});

async function dryRunOf(name: string, upstream: SyntheticUpstream) {
  const connectorId = await stack.connect(name, stack.upstream(name, upstream), { policy: { maxParallel: 4 } });
  const before = await contents();
  const { jobId } = await stack.catalog.connectors.triggerReconcile({ connectorId, dryRun: true });
  return { connectorId, jobId, before };
}

/** Lists all changes, page by page. */
async function changesOf(jobId: string): Promise<JobChange[]> {
  const all: JobChange[] = [];
  let pageToken = '';
  do {
    const page = await stack.catalog.jobs.listJobChanges({ jobId, pageSize: 100, pageToken });
    expect(page.changes.length).toBeLessThanOrEqual(100);
    all.push(...page.changes);
    pageToken = page.nextPageToken;
  } while (pageToken);
  return all;
}

/** Returns the inputs and results of a run's activities. */
async function payloadsOf(jobId: string, runId: string | undefined): Promise<string> {
  const { events } = await stack.temporal.workflow.getHandle(jobId, runId).fetchHistory();
  const payloads = (events ?? []).flatMap(
    ({ activityTaskScheduledEventAttributes, activityTaskCompletedEventAttributes }) => [
      ...(activityTaskScheduledEventAttributes?.input?.payloads ?? []),
      ...(activityTaskCompletedEventAttributes?.result?.payloads ?? []),
    ],
  );
  return payloads.map(({ data }) => Buffer.from(data ?? []).toString()).join('\n');
}

const countTables = (changes: JobChange[]) => changes.filter(({ kind }) => kind === 'JOB_CHANGE_KIND_TABLE').length;

it('a dry run continues as new, pauses with its connector, and lists each table once, without adding the list to its history', async () => {
  const { connectorId, jobId, before } = await dryRunOf('long', slow(100));
  await until(async () => countTables(await changesOf(jobId)) > 20);
  await setState(connectorId, ConnectorState.CONNECTOR_STATE_PAUSED);
  await until(async () => (await stack.job(jobId)).paused);
  expect(countTables(await changesOf(jobId))).toBeLessThan(TABLES);
  await setState(connectorId, ConnectorState.CONNECTOR_STATE_ACTIVE);
  const job = await stack.ended(jobId);
  expect(job).toMatchObject({
    state: JobState.JS_SUCCEEDED,
    dryRun: true,
    counters: { tablesChanged: BigInt(TABLES), errors: 0n },
  });
  const changes = await changesOf(jobId);
  expect(countTables(changes)).toBe(TABLES);
  expect(changes).toHaveLength(TABLES + 4);

  const { runId } = await stack.temporal.workflow.getHandle(jobId).describe();
  expect(runId).not.toBe(job.runId);
  for (const id of [runId, job.runId]) {
    const text = await payloadsOf(jobId, id);
    expect(text).toContain('tablesScanned');
    expect(text).not.toContain('not in the catalog');
  }

  // The pause has changed only the connector's own row.
  expect({ ...(await contents()), connectors: [] }).toEqual({ ...before, connectors: [] });
}, 240_000);

it('a dry run and a run that writes wait for each other, and neither is returned for a trigger of the other', async () => {
  const { connectorId, jobId } = await dryRunOf('turns', slow(200));
  const { connectors, jobs } = stack.catalog;
  await until(async () => countTables(await changesOf(jobId)) > 0);
  const real = await connectors.triggerReconcile({ connectorId });
  const dry = await connectors.triggerReconcile({ connectorId, dryRun: true });
  expect([real.existing, dry.existing]).toEqual([false, false]);
  expect(await connectors.triggerReconcile({ connectorId })).toEqual({ jobId: real.jobId, existing: true });
  expect(await connectors.triggerReconcile({ connectorId, dryRun: true })).toEqual({
    jobId: dry.jobId,
    existing: true,
  });
  await until(async () => (await stack.job(real.jobId)).message.includes(`waiting for job ${jobId}`));
  await jobs.cancelReconcileJob({ jobId: dry.jobId });
  expect(await stack.ended(dry.jobId)).toMatchObject({ state: JobState.JS_CANCELLED, dryRun: true });

  await jobs.cancelReconcileJob({ jobId });
  const cancelled = await stack.ended(jobId);
  expect(cancelled).toMatchObject({ state: JobState.JS_CANCELLED });
  expect(cancelled.message).toBe('Dry run: cancelled; its list has what it found until then');
  expect(countersOf(cancelled).tablesChanged).toBeGreaterThan(0n);
  expect(countTables(await changesOf(jobId))).toBeGreaterThanOrEqual(Number(countersOf(cancelled).tablesChanged));
  stack.upstream('turns', slow(0));
  expect(await stack.ended(real.jobId)).toMatchObject({
    state: JobState.JS_SUCCEEDED,
    counters: { tablesChanged: BigInt(TABLES) },
  });
}, 240_000);

it('the retry of a dry run is a dry run of the failed tables', async () => {
  const upstream: SyntheticUpstream = { tables: 60, namespaces: 2, faults: [{ every: 4, code: 'DATA_LOSS' }] };
  const { connectorId, jobId, before } = await dryRunOf('retried', upstream);
  expect(await stack.ended(jobId)).toMatchObject({
    state: JobState.JS_FAILED,
    counters: { errors: 15n, tablesChanged: 45n },
  });
  stack.upstream('retried', { ...upstream, faults: [] });
  const again = await stack.catalog.jobs.retryReconcileJob({ jobId });
  const job = await stack.ended(again.jobId);
  expect(job).toMatchObject({
    state: JobState.JS_SUCCEEDED,
    dryRun: true,
    counters: { tablesScanned: 15n, tablesChanged: 15n },
  });
  expect(countTables(await changesOf(again.jobId))).toBe(15);
  expect(await contents()).toEqual(before);
  expect(
    Number((await stack.catalog.bindings.countBindings({ connectorId, kind: ObjectKind.OBJECT_KIND_TABLE })).count),
  ).toBe(0);
}, 120_000);

async function until(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition())) await sleep(50);
}
