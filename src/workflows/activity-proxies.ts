import { ActivityCancellationType, type ActivityOptions, proxyActivities } from '@temporalio/workflow';
import type { ControlActivities, IngestActivities, ScanActivities } from '../contract/activities.ts';
import { INGEST_TASK_QUEUE, scanQueueOf, TASK_QUEUE } from '../contract/names.ts';
import { truncate } from '../text.ts';

/** A cancelled activity must have stopped writing before its connector is released. */
const cancellationType = ActivityCancellationType.WAIT_CANCELLATION_COMPLETED;

/** Temporal's limit for a summary is 400 bytes. */
const MAX_SUMMARY_LENGTH = 120;

/** The connector's own queue, if it names one. */
interface Queue {
  taskQueue?: string;
}

/** If no worker takes a step in this time, the job looks whether its connector has another queue by now. */
export const UNSERVED_AFTER_MS = 5 * 60_000;

/** The task queues of a connector's steps, by the types of their activities. */
export function queueOf(activityType: string, { taskQueue = INGEST_TASK_QUEUE }: Queue): string {
  return activityType.startsWith('ingest') ? taskQueue : scanQueueOf(taskQueue);
}

/** Short steps against the catalog. They outlast any outage of it; activities mark what cannot succeed as not retryable. */
export function control(summary: string) {
  return proxyActivities<ControlActivities>({
    taskQueue: TASK_QUEUE,
    startToCloseTimeout: '60s',
    cancellationType,
    retry: { initialInterval: '500ms', backoffCoefficient: 2, maximumInterval: '10s' },
    summary: truncate(summary, MAX_SUMMARY_LENGTH),
  });
}

/**
 * Steps that read an upstream. Heartbeats show that they are alive, so the start-to-close timeout is generous. The attempts outlast a
 * catalog that is away for twenty minutes; activities give up upstream errors earlier; and a table that kills its worker is not retried
 * forever.
 */
const UPSTREAM_OPTIONS = {
  startToCloseTimeout: '24h',
  scheduleToStartTimeout: UNSERVED_AFTER_MS,
  heartbeatTimeout: '60s',
  cancellationType,
  retry: { initialInterval: '1s', backoffCoefficient: 2, maximumInterval: '60s', maximumAttempts: 30 },
} as const satisfies ActivityOptions;

/** Steps that may take long. @param summary what the Temporal UI shows */
export function ingestOn({ taskQueue = INGEST_TASK_QUEUE }: Queue, summary: string) {
  return proxyActivities<IngestActivities>({
    ...UPSTREAM_OPTIONS,
    taskQueue,
    summary: truncate(summary, MAX_SUMMARY_LENGTH),
  });
}

/** Short steps. @param summary what the Temporal UI shows */
export function scanOn({ taskQueue }: Queue, summary: string, options: ActivityOptions = UPSTREAM_OPTIONS) {
  return proxyActivities<ScanActivities>({
    ...options,
    taskQueue: scanQueueOf(taskQueue),
    summary: truncate(summary, MAX_SUMMARY_LENGTH),
  });
}

/** Somebody waits for the result, and the first attempt's is as good as a later one's. */
export function validateOn(queue: Queue) {
  const options = { startToCloseTimeout: '60s', heartbeatTimeout: '60s', retry: { maximumAttempts: 1 } } as const;
  return scanOn(queue, 'opens the upstream', options).validateConnector;
}

/** Sends alerts from where the connector's secret references can be resolved. Retries for a day, in the end every 30 minutes. */
export function deliverOn(queue: Queue) {
  const retry = { initialInterval: '2s', backoffCoefficient: 3, maximumInterval: '30m' } as const;
  const options = {
    startToCloseTimeout: '60s',
    scheduleToCloseTimeout: '24h',
    retry,
    priority: { priorityKey: 1 },
  } as const;
  return scanOn(queue, 'sends the alert', options).deliverAlert;
}
