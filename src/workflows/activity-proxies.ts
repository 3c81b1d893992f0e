import { ActivityCancellationType, type ActivityOptions, proxyActivities } from '@temporalio/workflow';
import type { ControlActivities, IngestActivities } from '../contract/activities.ts';
import { INGEST_TASK_QUEUE, TASK_QUEUE } from '../contract/names.ts';

/** A cancelled activity is waited for: it must have stopped writing before the connector is released. */
const cancellationType = ActivityCancellationType.WAIT_CANCELLATION_COMPLETED;

/** Short steps against the catalog. An outage is waited out; what cannot succeed says so by itself. */
export const control = proxyActivities<ControlActivities>({
  taskQueue: TASK_QUEUE,
  startToCloseTimeout: '30s',
  cancellationType,
  retry: { initialInterval: '500ms', backoffCoefficient: 2, maximumInterval: '10s' },
});

/** While another job has the connector, or it is paused, these fail and are tried again, for as long as it takes: retries cost no history. */
export const waitFor = proxyActivities<Pick<ControlActivities, 'claimConnector' | 'awaitActive'>>({
  taskQueue: TASK_QUEUE,
  startToCloseTimeout: '30s',
  cancellationType: ActivityCancellationType.TRY_CANCEL,
  retry: { initialInterval: '1s', backoffCoefficient: 1.5, maximumInterval: '5s' },
});

/**
 * Reading upstreams. Live by heartbeats, so start-to-close is generous. The attempts outlast a catalog that is away for
 * twenty minutes; upstream errors end sooner by themselves, and a table that kills its worker does not go on for ever.
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

/** What reads the upstream, on the queue that is meant. */
export function ingestOn({ taskQueue }: { taskQueue?: string }) {
  return proxyActivities<IngestActivities>(ingestOptions(taskQueue));
}

/**
 * Telling webhooks, where the connector's references can be resolved. For a day, at last every half an hour; before ingests that wait.
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

/** Temporal's limit for a summary is 400 bytes. */
export function withSummary(text: string, { taskQueue }: { taskQueue?: string }): ActivityOptions {
  return { ...ingestOptions(taskQueue), summary: text.length > 120 ? `${text.slice(0, 119)}…` : text };
}
