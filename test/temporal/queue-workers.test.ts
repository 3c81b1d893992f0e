import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type Client, WorkflowFailedError } from '@temporalio/client';
import { TimeoutFailure } from '@temporalio/common';
import proto from '@temporalio/proto';
import { NativeConnection, Runtime, Worker } from '@temporalio/worker';
import { TASK_QUEUE } from '../../src/contract/names.ts';
import { temporalJobControl } from '../../src/temporal/job-control.ts';
import { hasWorkers } from '../../src/temporal/queue-workers.ts';
import { unpolledQueue, waitsSince } from '../../src/temporal/unpolled-queue.ts';
import { TemporalServer } from '../integration/stack/temporal-server.ts';
import { poll } from '../jest/poll.ts';
import { newProgress } from '../synthetic/new-progress.ts';

const POLL = { timeout: 60_000, interval: 200 };
const { PENDING_ACTIVITY_STATE_SCHEDULED, PENDING_ACTIVITY_STATE_STARTED } =
  proto.temporal.api.enums.v1.PendingActivityState;

let temporal: TemporalServer;
let connection: NativeConnection;
const workers: { worker: Worker; run: Promise<void> }[] = [];
let release = () => {};
const released = new Promise<void>((resolve) => {
  release = resolve;
});

beforeAll(async () => {
  const silent = () => {};
  const logger = { log: silent, trace: silent, debug: silent, info: silent, warn: silent, error: silent };
  Runtime.install({ logger, shutdownSignals: [], workerHeartbeatInterval: '1s' });
  temporal = await TemporalServer.start();
  connection = await NativeConnection.connect({ address: temporal.address });
}, 120_000);
afterAll(async () => {
  release();
  for (const { worker } of workers) if (worker.getState() === 'RUNNING') worker.shutdown();
  await Promise.all(workers.map(({ run }) => run));
  await connection.close();
  await temporal[Symbol.asyncDispose]();
});

/** Starts a worker with one slot for activities. */
async function startWorker(taskQueue: string): Promise<Worker> {
  const worker = await Worker.create({
    connection,
    taskQueue,
    activities: { hold: () => released },
    maxConcurrentActivityTaskExecutions: 1,
    shutdownGraceTime: '1s',
  });
  workers.push({ worker, run: worker.run() });
  await poll(() => hasWorkers(temporal.client, taskQueue), POLL).toBe(true);
  return worker;
}

/** Occupies the slot of a worker: it does not poll any more. */
async function occupy(taskQueue: string): Promise<void> {
  await temporal.client.workflowService.startActivityExecution({
    namespace: 'default',
    activityId: `hold-${taskQueue}`,
    activityType: { name: 'hold' },
    taskQueue: { name: taskQueue },
    startToCloseTimeout: { seconds: 600 as never },
    requestId: randomUUID(),
    identity: 'test',
  });
}

describe('hasWorkers', () => {
  it('is false for a queue that nobody has ever polled', async () => {
    expect(await hasWorkers(temporal.client, "nobody's")).toBe(false);
  });

  it('is true for a worker that does not poll because its slots are taken, until it is stopped', async () => {
    const worker = await startWorker('busy');
    await occupy('busy');
    // Its last poll is older than this, and only its heartbeats, one per second, show that it is alive.
    await new Promise((resolve) => setTimeout(resolve, 5_000));
    expect(await lastPollAge('busy')).toBeGreaterThan(3_000);
    expect(await hasWorkers(temporal.client, 'busy', 3_000)).toBe(true);
    worker.shutdown();
    await poll(() => hasWorkers(temporal.client, 'busy', 3_000), POLL).toBe(false);
  }, 90_000);

  async function lastPollAge(name: string): Promise<number> {
    const { pollers } = await temporal.client.workflowService.describeTaskQueue({
      namespace: 'default',
      taskQueue: { name },
      taskQueueType: proto.temporal.api.enums.v1.TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY,
    });
    return (
      Date.now() - Math.max(...(pollers ?? []).map(({ lastAccessTime }) => Number(lastAccessTime?.seconds) * 1000))
    );
  }
});

describe('unpolledQueue', () => {
  const at = (seconds: number) => ({ seconds: seconds as never });
  const pending = (name: string, scheduled: number, fields: object = {}) => ({
    state: PENDING_ACTIVITY_STATE_SCHEDULED,
    scheduledTime: at(scheduled),
    activityOptions: { taskQueue: { name } },
    ...fields,
  });

  it('is the one that was waited for longest, and that no worker polls', async () => {
    await startWorker('polled');
    const found = await unpolledQueue(temporal.client, [
      pending('polled', 100),
      pending('later', 300),
      pending('earlier', 250),
      pending('earlier', 200),
      pending('running', 1, { state: PENDING_ACTIVITY_STATE_STARTED }),
      pending('backing off', 1, { nextAttemptScheduleTime: at(9_999_999_999) }),
    ]);
    expect(found).toEqual({ name: 'earlier', since: new Date(200_000) });
    expect(await unpolledQueue(temporal.client, [pending('polled', 100)])).toBeUndefined();
  });

  it('is waited for since the first step, as the workflow knows', () => {
    const queue = { name: 'far', since: new Date(900_000) };
    const progress = { ...newProgress(), unserved: { queue: 'far', sinceMs: 300_000 } };
    expect(waitsSince(queue, progress)).toEqual({ name: 'far', since: new Date(300_000) });
    expect(waitsSince({ ...queue, name: 'far-scan' }, progress).since).toBe(queue.since);
    expect(waitsSince(queue, newProgress())).toBe(queue);
  });
});

it('warns of the first queue of a connector that no worker serves', async () => {
  const warning = (queue: string) => temporalJobControl(async () => temporal.client).queueWarning(queue);
  expect(await warning('us')).toBe(
    "no worker polls task queue 'us' at present, so jobs will wait. Start one with `reconciler worker --task-queue us`.",
  );
  await startWorker('us');
  expect(await warning('us')).toMatch(/task queue 'us-scan' at present.*`reconciler worker --task-queue us`\.$/);
  await startWorker('us-scan');
  expect(await warning('us')).toBeUndefined();
});

describe('a validation that no worker has done in time', () => {
  /** A client of the real server whose workflows have timed out, because a test does not wait for a minute. */
  function timingOut(): Client {
    const result = async () => {
      throw new WorkflowFailedError(
        'timed out',
        new TimeoutFailure('timed out', undefined, 'START_TO_CLOSE'),
        'TIMEOUT',
      );
    };
    const start = async () => ({ result });
    return Object.create(temporal.client, { workflow: { value: { start } } }) as Client;
  }
  const validate = () =>
    temporalJobControl(async () => timingOut()).validate({ connectorId: 'con_1', taskQueue: 'eu' });
  const unavailable = (message: RegExp) => ({ code: 'UNAVAILABLE', message: expect.stringMatching(message) });

  it('names the queue that nobody polls, or says that the workers are busy', async () => {
    await expect(validate()).rejects.toMatchObject(
      unavailable(/no worker polls task queue 'reconciler'\. Start one with `reconciler worker`/),
    );
    await startWorker(TASK_QUEUE);
    await expect(validate()).rejects.toMatchObject(
      unavailable(/no worker polls task queue 'eu-scan'\. Start one with `reconciler worker --task-queue eu`/),
    );
    await startWorker('eu-scan');
    await expect(validate()).rejects.toMatchObject(
      unavailable(/^The workers of task queue 'eu-scan' are busy: .* within 60 s\. Try again later/),
    );
  }, 60_000);
});
