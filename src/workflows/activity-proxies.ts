import { ActivityCancellationType, type ActivityOptions, proxyActivities } from '@temporalio/workflow';
import type { ControlActivities, IngestActivities } from '../contract/activities.ts';
import { INGEST_TASK_QUEUE, TASK_QUEUE } from '../contract/names.ts';
import { truncate } from '../text.ts';

/** A cancelled activity must have stopped writing before its connector is released. */
const cancellationType = ActivityCancellationType.WAIT_CANCELLATION_COMPLETED;

/** Temporal's limit for a summary is 400 bytes. */
const MAX_SUMMARY_LENGTH = 120;

/** Short steps against the catalog. They outlast any outage of it; activities mark what cannot succeed as not retryable. */
export const control = proxyActivities<ControlActivities>({
  taskQueue: TASK_QUEUE,
  startToCloseTimeout: '30s',
  cancellationType,
  retry: { initialInterval: '500ms', backoffCoefficient: 2, maximumInterval: '10s' },
});

/**
 * These fail while another job has the connector, or while it is paused, and are retried for as long as that takes: unlike timers,
 * retries add no events to the history.
 */
export const waitFor = proxyActivities<Pick<ControlActivities, 'claimConnector' | 'awaitActive'>>({
  taskQueue: TASK_QUEUE,
  startToCloseTimeout: '30s',
  cancellationType: ActivityCancellationType.TRY_CANCEL,
  retry: { initialInterval: '1s', backoffCoefficient: 1.5, maximumInterval: '5s' },
});

/**
 * Steps that read an upstream. Heartbeats show that they are alive, so the start-to-close timeout is generous. The attempts outlast a
 * catalog that is away for twenty minutes; activities give up upstream errors earlier; and a table that kills its worker is not retried
 * forever.
 */
const INGEST_OPTIONS = {
  startToCloseTimeout: '24h',
  heartbeatTimeout: '60s',
  cancellationType,
  retry: { initialInterval: '1s', backoffCoefficient: 2, maximumInterval: '60s', maximumAttempts: 30 },
} as const satisfies ActivityOptions;

/** @param taskQueue the connector's own, if it names one: workers near its data poll it */
export function ingestOptions(taskQueue = INGEST_TASK_QUEUE): ActivityOptions {
  return { ...INGEST_OPTIONS, taskQueue };
}

/** Steps that read the connector's upstream. */
export function ingestOn({ taskQueue }: { taskQueue?: string }) {
  return proxyActivities<IngestActivities>(ingestOptions(taskQueue));
}

/**
 * Sends alerts from where the connector's secret references can be resolved, before ingests that wait for a slot. Retries for a day, in the
 * end every 30 minutes.
 */
export function deliveryOn({ taskQueue = INGEST_TASK_QUEUE }: { taskQueue?: string }) {
  return proxyActivities<Pick<IngestActivities, 'deliverAlert'>>({
    taskQueue,
    startToCloseTimeout: '60s',
    scheduleToCloseTimeout: '24h',
    retry: { initialInterval: '2s', backoffCoefficient: 3, maximumInterval: '30m' },
    priority: { priorityKey: 1 },
  });
}

/** Options of a step that reads the connector's upstream and that the Temporal UI shows with this text. */
export function withSummary(text: string, { taskQueue }: { taskQueue?: string }): ActivityOptions {
  return { ...ingestOptions(taskQueue), summary: truncate(text, MAX_SUMMARY_LENGTH) };
}
