import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { ObjectKind } from '../../../src/generated/reconciler/internal/v1/bindings.ts';
import { JobState, JobTrigger } from '../../../src/generated/reconciler/v1/jobs.ts';
import { SyntheticStack } from '../../synthetic/synthetic-stack.ts';
import type { SyntheticUpstream } from '../../synthetic/synthetic-upstream.ts';

let stack: SyntheticStack;
beforeAll(async () => {
  stack = await SyntheticStack.start();
}, 180_000);
afterAll(() => stack?.[Symbol.asyncDispose]());

/** With this many tables, more fail than fit in one page. */
const TABLES = 500;
const FAILING = { every: 4, code: 'DATA_LOSS' } as const;

const scansOf = async (jobId: string) => {
  const { events } = await stack.temporal.workflow.getHandle(jobId).fetchHistory();
  return events?.map((event) => event.activityTaskScheduledEventAttributes?.activityType?.name).filter(Boolean);
};

it('a retry scans only the tables that failed, and marks none as missing', async () => {
  const upstream: SyntheticUpstream = { tables: TABLES, namespaces: 2, faults: [FAILING] };
  const connectorId = await stack.connect('lake', stack.upstream('lake', upstream));
  const { connectors, jobs, bindings } = stack.catalog;
  const first = await connectors.triggerReconcile({ connectorId });
  expect(await stack.ended(first.jobId)).toMatchObject({ state: JobState.JS_FAILED, counters: { errors: 125n } });
  const bound = async () => (await bindings.countBindings({ connectorId, kind: ObjectKind.OBJECT_KIND_TABLE })).count;
  expect(await bound()).toBe(375n);

  // Half of the failed tables are repaired. All other tables have changed, and two no longer exist. The retry must ignore both.
  const repaired = { ...upstream, tables: TABLES - 2, round: 1, changedShare: 1, faults: [{ ...FAILING, every: 8 }] };
  stack.upstream('lake', repaired);
  const { jobId } = await jobs.retryReconcileJob({ jobId: first.jobId });
  const job = await stack.ended(jobId);
  expect(job).toMatchObject({
    state: JobState.JS_FAILED,
    counters: { tablesScanned: 125n, tablesChanged: 62n, errors: 63n, tablesMissing: 0n },
    retryOfJobId: first.jobId,
    trigger: JobTrigger.JOB_TRIGGER_RETRY,
  });
  expect(await bound()).toBe(375n + 62n);
  expect(await scansOf(jobId)).not.toContain('reconcileMissing');

  // Retry the rest. Another job has ingested one of these tables in the meantime.
  stack.upstream('lake', { ...repaired, faults: [] });
  await stack.ended((await connectors.triggerReconcile({ connectorId, destinationTableName: 't000008' })).jobId);
  const last = await jobs.retryReconcileJob({ jobId });
  expect(await stack.ended(last.jobId)).toMatchObject({
    state: JobState.JS_SUCCEEDED,
    counters: { tablesScanned: 63n, tablesChanged: 62n, tablesUnchanged: 1n, errors: 0n },
  });
  expect(await bound()).toBe(500n);
  await expect(jobs.retryReconcileJob({ jobId: last.jobId })).rejects.toThrow('nothing failed');
}, 180_000);

it('a retry scans all tables if a namespace could not be listed', async () => {
  const upstream: SyntheticUpstream = { tables: 40, namespaces: 2, refused: [1] };
  const connectorId = await stack.connect('refused', stack.upstream('refused', upstream));
  const { connectors, jobs } = stack.catalog;
  const first = await connectors.triggerReconcile({ connectorId });
  expect(await stack.ended(first.jobId)).toMatchObject({
    state: JobState.JS_FAILED,
    counters: { tablesScanned: 20n, errors: 1n },
  });
  stack.upstream('refused', { ...upstream, refused: [] });
  const { jobId } = await jobs.retryReconcileJob({ jobId: first.jobId });
  expect(await stack.ended(jobId)).toMatchObject({ state: JobState.JS_SUCCEEDED, counters: { tablesScanned: 40n } });
}, 120_000);
