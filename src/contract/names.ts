/**
 * The names by which processes find each other in Temporal. Everything that they exchange is plain JSON: ids and small, bounded
 * options only.
 */

/** Workflows and short control activities. */
export const TASK_QUEUE = 'reconciler';

/**
 * Short steps that reach upstreams and webhooks: scans, views, validations, alerts. They have a queue and slots of their own, so that they never
 * wait for long ingests.
 */
export const SCAN_TASK_QUEUE = 'reconciler-scan';

/** Ingesting. A connector may name another queue: workers near its data poll it. */
export const INGEST_TASK_QUEUE = 'reconciler-ingest';

/** The queue of short steps beside a queue of ingests. */
export function scanQueueOf(ingestQueue: string = INGEST_TASK_QUEUE): string {
  return ingestQueue === INGEST_TASK_QUEUE ? SCAN_TASK_QUEUE : `${ingestQueue}-scan`;
}

/** Type of the failure with which an activity refuses to work for a paused connector. */
export const CONNECTOR_PAUSED = 'CONNECTOR_PAUSED';

/** The signal, without arguments, that wakes a job: it then checks again whether it may go on. */
export const WAKE_SIGNAL = 'wake';

/** Workflow types, as `temporal workflow start --type` names them. */
export const RECONCILE_WORKFLOW = 'reconcile';

export const VALIDATE_WORKFLOW = 'validateConnector';

export const ALERT_WORKFLOW = 'sendAlert';

/** The signal by which workers report what running slices have counted. */
export const REPORT_SIGNAL = 'report';
