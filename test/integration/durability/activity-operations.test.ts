import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import proto, { type temporal } from '@temporalio/proto';
import { JobState } from '../../../src/generated/reconciler/v1/jobs.ts';
import { type LoggedConnector, loggedConnector } from '../../synthetic/logged-connector.ts';
import { SyntheticStack } from '../../synthetic/synthetic-stack.ts';

const { PENDING_ACTIVITY_STATE_STARTED, PENDING_ACTIVITY_STATE_PAUSED } =
  proto.temporal.api.enums.v1.PendingActivityState;
/** How long a paused activity is watched: longer than the job's control activities wait between their attempts. */
const REST_MS = 15_000;

/** What a person stops in the Temporal UI; slow enough that it runs for long. */
const STEPS = [
  { activityType: 'ingestTables', upstream: { tables: 60, namespaces: 3, faults: [{ every: 1, delayMs: 500 }] } },
  { activityType: 'ingestTable', upstream: { tables: 2, namespaces: 1, faults: [{ every: 1, delayMs: 10_000 }] } },
];

let stack: SyntheticStack;
beforeAll(async () => {
  stack = await SyntheticStack.start();
}, 180_000);
afterAll(() => stack?.[Symbol.asyncDispose]());

it.each(STEPS)(
  '$activityType rests while it is paused in Temporal, and then continues',
  async (step) => {
    const { connector, jobId, target } = await startStep(step);
    await stack.temporal.workflowService.pauseActivityExecution(target);
    await untilPending(jobId, target, ({ state }) => state === PENDING_ACTIVITY_STATE_PAUSED);
    const before = { scheduled: await scheduledActivities(jobId), opened: connector.opened().length };
    await sleep(REST_MS);
    const after = { scheduled: await scheduledActivities(jobId), opened: connector.opened().length };
    expect(after).toEqual(before);
    await stack.temporal.workflowService.unpauseActivityExecution(target);
    const job = await stack.ended(jobId);

    expect(await lastAttempt(jobId, target)).toBe(2);
    expectContinued(connector);
    expect(job).toMatchObject({ state: JobState.JS_SUCCEEDED, counters: { errors: 0n } });
    await connector.expectUndisturbed();
  },
  300_000,
);

it.each(STEPS)(
  '$activityType continues from its heartbeat after it is reset in Temporal',
  async (step) => {
    const { connector, jobId, target, started } = await startStep(step);
    await stack.temporal.workflowService.resetActivityExecution(target);
    await untilPending(
      jobId,
      target,
      (activity) => activity.state === PENDING_ACTIVITY_STATE_STARTED && startedAt(activity) > startedAt(started),
    );
    expect(await scheduledActivities(jobId)).toEqual(started.scheduled);
    const job = await stack.ended(jobId);

    expectContinued(connector);
    expect(job).toMatchObject({ state: JobState.JS_SUCCEEDED, counters: { errors: 0n } });
    await connector.expectUndisturbed();
  },
  300_000,
);

interface Step {
  activityType: string;
  upstream: (typeof STEPS)[number]['upstream'];
}

/** Starts a job, and waits until one activity of this type is in the middle of its work. */
async function startStep({ activityType, upstream }: Step) {
  const connector = await loggedConnector(stack, upstream, { maxParallel: 1 });
  const jobId = await connector.trigger();
  for (;;) {
    const activity = (await pendingActivities(jobId)).find((one) => one.activityType?.name === activityType);
    // In a pack, so that a heartbeat has the tables before this one.
    const enough = activityType === 'ingestTables' ? 3 : 1;
    if (activity?.state === PENDING_ACTIVITY_STATE_STARTED && connector.opened().length >= enough) {
      const { activityId } = activity;
      const { namespace } = stack.temporal.options;
      const target = { namespace, workflowId: jobId, activityId, reason: 'test', identity: 'test' };
      const scheduled = await scheduledActivities(jobId);
      return { connector, jobId, target, started: { ...activity, scheduled } };
    }
    await sleep(50);
  }
}

type PendingActivity = temporal.api.workflow.v1.IPendingActivityInfo;
interface Target {
  activityId?: string | null;
}

async function pendingActivities(jobId: string): Promise<PendingActivity[]> {
  const { raw } = await stack.temporal.workflow.getHandle(jobId).describe();
  return raw.pendingActivities ?? [];
}

const startedAt = ({ lastStartedTime }: PendingActivity) =>
  Number(lastStartedTime?.seconds) * 1000 + Number(lastStartedTime?.nanos) / 1e6;

const eventsOf = async (jobId: string) => (await stack.temporal.workflow.getHandle(jobId).fetchHistory()).events ?? [];

/** The activities that the job has scheduled so far. */
const scheduledActivities = async (jobId: string) =>
  (await eventsOf(jobId)).flatMap((event) => event.activityTaskScheduledEventAttributes?.activityType?.name ?? []);

/** The number of the attempt with which an activity ended. */
async function lastAttempt(jobId: string, { activityId }: Target): Promise<number | undefined> {
  const events = await eventsOf(jobId);
  const scheduled = events.find((event) => event.activityTaskScheduledEventAttributes?.activityId === activityId)!;
  const attributes = events.map((event) => event.activityTaskStartedEventAttributes);
  return attributes.find((started) => started?.scheduledEventId?.equals(scheduled.eventId!))?.attempt ?? undefined;
}

/** Only the table that was interrupted is read twice. */
function expectContinued(connector: LoggedConnector): void {
  const tables = connector.opened().map(({ table }) => table);
  expect(tables.length - new Set(tables).size).toBeLessThanOrEqual(1);
}

/** Waits until the activity meets the condition. Throws if it ends instead. */
async function untilPending(
  jobId: string,
  { activityId }: Target,
  condition: (activity: PendingActivity) => boolean,
): Promise<void> {
  for (;;) {
    const activity = (await pendingActivities(jobId)).find((one) => one.activityId === activityId);
    if (!activity) throw new Error(`the activity has ended; scheduled: ${await scheduledActivities(jobId)}`);
    if (condition(activity)) return;
    await sleep(50);
  }
}
