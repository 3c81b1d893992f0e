import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { JobState, type ReconcileJob } from '../../../src/generated/reconciler/v1/jobs.ts';
import { type LoggedConnector, loggedConnector } from '../../synthetic/logged-connector.ts';
import type { OpenedTable } from '../../synthetic/opened-tables.ts';
import { SyntheticStack } from '../../synthetic/synthetic-stack.ts';
import { TcpProxy } from '../../synthetic/tcp-proxy.ts';

/** These fill several packs per lane. */
const TABLES = 160;
const SLOW = { tables: TABLES, namespaces: 3, faults: [{ every: 1, delayMs: 200 }] };
const MAX_PARALLEL = 4;
/** For what may take a while, such as the next attempt of an activity. */
const PATIENCE_MS = 30_000;

let stack: SyntheticStack;
beforeAll(async () => {
  stack = await SyntheticStack.start();
}, 180_000);
afterAll(() => stack?.[Symbol.asyncDispose]());

it('a job that ended and is reset waits for the job that has the connector', async () => {
  const connector = await loggedConnector(stack, { ...SLOW, faults: [] }, { maxParallel: MAX_PARALLEL });
  const first = await connector.trigger();
  const before = await stack.ended(first);
  expect(before).toMatchObject({ state: JobState.JS_SUCCEEDED, counters: { tablesChanged: BigInt(TABLES) } });

  connector.change({ ...SLOW, round: 1, changedShare: 1 });
  const second = await connector.trigger();
  await begun(connector, second, 20);
  const newRunId = await reset(first);
  const reopened = await observed(async () => isOpen(await stack.job(first)));
  const afterSecond = await stack.ended(second);
  const hasFinishedAgain = await observed(async () => {
    const { finishedAt } = await stack.job(first);
    return finishedAt !== undefined && finishedAt > before.finishedAt!;
  });
  await closed(first);

  const opened = connector.opened();
  const isSecond = ({ jobId }: OpenedTable) => jobId === second;
  const [begin, end] = [opened.find(isSecond)!.at, opened.findLast(isSecond)!.at];
  // An activity that may not write ends at its first table.
  const beside = beyondFirst(opened.filter(({ runId, at }) => runId === newRunId && at > begin && at < end));
  expect({ writesBeside: beside.length, reopened, hasFinishedAgain }).toEqual({
    writesBeside: 0,
    reopened: true,
    hasFinishedAgain: true,
  });
  expect(afterSecond).toMatchObject({ state: JobState.JS_SUCCEEDED, counters: { errors: 0n } });
  expect(await stack.job(first)).toMatchObject({ state: JobState.JS_SUCCEEDED, counters: { errors: 0n } });
  await connector.expectUndisturbed();
  expect(await runningJob(connector.connectorId)).toBe('');
}, 300_000);

it('after a reset, the activities of the old run do not write beside those of the new run', async () => {
  await using network = await TcpProxy.start(stack.temporalAddress);
  await stack.addWorker(network.address);
  const connector = await loggedConnector(stack, SLOW, { maxParallel: MAX_PARALLEL });
  const jobId = await connector.trigger();
  await begun(connector, jobId, 20);
  // One of the two workers does not learn that its activities are obsolete.
  network.cut();
  const newRunId = await reset(jobId);
  const job = await stack.ended(jobId);
  await closed(jobId);

  expect(besideSuccessor(connector.opened(), ({ runId }) => runId === newRunId)).toEqual([]);
  expect(job).toMatchObject({ state: JobState.JS_SUCCEEDED, counters: { errors: 0n } });
  await connector.expectUndisturbed();
  expect(await runningJob(connector.connectorId)).toBe('');
}, 300_000);

it('the activities of a terminated job do not write beside those of the next job', async () => {
  await using network = await TcpProxy.start(stack.temporalAddress);
  await stack.addWorker(network.address);
  const connector = await loggedConnector(stack, SLOW, { maxParallel: MAX_PARALLEL });
  const terminated = await connector.trigger();
  await begun(connector, terminated, 20);
  network.cut();
  await stack.temporal.workflow.getHandle(terminated).terminate();
  const next = await connector.trigger();
  expect(next).not.toBe(terminated);
  const job = await stack.ended(next);
  await closed(next);

  expect(besideSuccessor(connector.opened(), ({ jobId }) => jobId === next)).toEqual([]);
  expect(job).toMatchObject({ state: JobState.JS_SUCCEEDED, counters: { errors: 0n } });
  expect(await stack.job(terminated)).toMatchObject({ state: JobState.JS_FAILED });
  await connector.expectUndisturbed();
  expect(await runningJob(connector.connectorId)).toBe('');
}, 300_000);

/** Resets a job to the moment after its first page of tables, when it had claimed the connector. @returns the new run's id */
async function reset(jobId: string): Promise<string> {
  const { namespace } = stack.temporal.options;
  const handle = stack.temporal.workflow.getHandle(jobId);
  const [{ events }, { runId }] = await Promise.all([handle.fetchHistory(), handle.describe()]);
  const scan = events!.findIndex(
    (event) => event.activityTaskScheduledEventAttributes?.activityType?.name === 'scanTables',
  );
  const { eventId } = events!.slice(scan).find((event) => event.workflowTaskCompletedEventAttributes)!;
  const { runId: newRunId } = await stack.temporal.workflowService.resetWorkflowExecution({
    namespace,
    workflowExecution: { workflowId: jobId, runId },
    workflowTaskFinishEventId: eventId,
    reason: 'test',
    requestId: crypto.randomUUID(),
  });
  return newRunId;
}

/** The tables that another run or job began to read after the first write of `successor`. */
function besideSuccessor(opened: OpenedTable[], successor: (opened: OpenedTable) => boolean): string[] {
  const written = beyondFirst(opened.filter(successor))[0];
  expect(written).toBeDefined();
  return opened.filter((one) => !successor(one) && one.at > written!.at).map(({ table }) => table);
}

/** The openings before which their activity has written another table: all but the first one of each attempt. */
function beyondFirst(opened: OpenedTable[]): OpenedTable[] {
  const seen = new Set<string>();
  return opened.filter(({ runId, activityId, attempt }) => {
    const key = `${runId} ${activityId} ${attempt}`;
    if (seen.has(key)) return true;
    seen.add(key);
    return false;
  });
}

const isOpen = ({ state }: ReconcileJob) => [JobState.JS_QUEUED, JobState.JS_RUNNING].includes(state);

const runningJob = async (connectorId: string) =>
  (await stack.catalog.connectors.getConnector({ by: { $case: 'connectorId', value: connectorId } })).runningJobId;

/** Waits until the job has begun more than `tables` tables. */
const begun = (connector: LoggedConnector, job: string, tables: number) =>
  until(async () => connector.opened().filter(({ jobId }) => jobId === job).length > tables);

/** Waits until the job's workflow is closed, which is after the job's end was recorded. */
const closed = (jobId: string) =>
  until(async () => (await stack.temporal.workflow.getHandle(jobId).describe()).status.name !== 'RUNNING');

/** Whether the condition becomes true in time. */
async function observed(condition: () => Promise<boolean>): Promise<boolean> {
  const deadline = Date.now() + PATIENCE_MS;
  while (Date.now() < deadline) {
    if (await condition()) return true;
    await sleep(50);
  }
  return false;
}

async function until(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition())) await sleep(20);
}
