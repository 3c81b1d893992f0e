import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { temporal } from '@temporalio/proto';
import { scanQueueOf, TASK_QUEUE } from '../../../src/contract/names.ts';
import { waitFor } from '../../jest/wait-for.ts';
import { BIN, ROOT, RunningStack } from '../stack/running-stack.ts';

/** A worker divides its slots for short steps among its queues. With this many queues, each gets one slot. */
const QUEUES = Array.from({ length: 16 }, (_, i) => `near-${i}`);
const SCHEDULED = 32;

let stack: RunningStack;
beforeAll(async () => {
  stack = await RunningStack.start();
}, 180_000);
afterAll(() => stack?.[Symbol.asyncDispose]());

const connect = (name: string) =>
  stack.connect(name, join(ROOT, 'test/fixtures/iceberg/fs'), { policy: { taskQueue: QUEUES[0] } });

/** Returns the time at which a worker started the job's first scan; undefined if none has. */
async function scannedAt(jobId: string): Promise<bigint | undefined> {
  const { events = [] } = await stack.temporal.workflow.getHandle(jobId).fetchHistory();
  const scheduled = events?.find(
    (event) => event.activityTaskScheduledEventAttributes?.activityType?.name === 'scanTables',
  );
  const started = events?.find((event) =>
    scheduled?.eventId && event.activityTaskStartedEventAttributes?.scheduledEventId
      ? event.activityTaskStartedEventAttributes.scheduledEventId.eq(scheduled.eventId)
      : false,
  );
  const time = started?.eventTime;
  return time ? BigInt(String(time.seconds)) * 1_000_000_000n + BigInt(time.nanos ?? 0) : undefined;
}

it('a job that a person triggered runs before scheduled jobs that were queued earlier', async () => {
  // Started as a schedule starts them. No worker polls their queue yet.
  const jobs: string[] = [];
  for (let i = 0; i < SCHEDULED; i++) {
    const connector = await connect(`scheduled${i}`);
    const workflowId = `scheduled-${i}`;
    const args = [{ connector, trigger: 'schedule' }];
    await stack.temporal.workflow.start('reconcile', { workflowId, taskQueue: TASK_QUEUE, args });
    jobs.push(workflowId);
  }
  for (const id of jobs) await untilScanPending(id);
  const connectorId = await connect('interactive');
  const { jobId } = await stack.catalog.connectors.triggerReconcile({ connectorId });
  await untilScanPending(jobId);
  // Temporal adds tasks to its queues asynchronously, some time later.
  await waitFor(async () => expect(await backlog()).toBe(SCHEDULED + 1), { timeout: 60_000, interval: 100 });

  const { temporalAddress } = JSON.parse(readFileSync(join(stack.dataDir, 'stack.json'), 'utf8'));
  const queues = QUEUES.flatMap((queue) => ['--task-queue', queue]);
  const worker = spawn(process.execPath, [BIN, 'worker', ...queues], {
    env: { ...stack.env, TEMPORAL_ADDRESS: temporalAddress },
    stdio: 'ignore',
  });
  try {
    for (const id of [...jobs, jobId]) await stack.ended(id);
    const at = (await scannedAt(jobId)) as bigint;
    const before = await Promise.all(jobs.map(async (id) => ((await scannedAt(id)) as bigint) < at));
    // The job was queued last. Temporal guarantees only an approximate order, because it reads each priority of a queue separately.
    expect(before.filter(Boolean).length).toBeLessThanOrEqual(SCHEDULED / 4);
  } finally {
    const exited = once(worker, 'exit');
    worker.kill('SIGTERM');
    await exited;
  }
}, 180_000);

/** Returns the number of scans in the queue that no worker has started. */
async function backlog(): Promise<number> {
  const { stats } = await stack.temporal.workflowService.describeTaskQueue({
    namespace: stack.temporal.options.namespace,
    taskQueue: { name: scanQueueOf(QUEUES[0]) },
    taskQueueType: temporal.api.enums.v1.TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY,
    reportStats: true,
  });
  return Number(stats?.approximateBacklogCount ?? 0);
}

/** Waits until the job's scan is scheduled and pending. */
async function untilScanPending(jobId: string): Promise<void> {
  for (;;) {
    const { raw } = await stack.temporal.workflow.getHandle(jobId).describe();
    if (raw.pendingActivities?.some(({ activityType }) => activityType?.name === 'scanTables')) return;
    await sleep(50);
  }
}
