/**
 * The names by which processes find each other in Temporal. Everything that they exchange is plain JSON: ids and small, bounded
 * options only.
 */

/** Workflows and short control activities. */
export const TASK_QUEUE = 'reconciler';

/** Scanning and ingesting: a queue of its own, so that long ingests never starve a new job's first steps. A connector may name another. */
export const INGEST_TASK_QUEUE = 'reconciler-ingest';

/** Type of the failure with which an activity refuses to work for a paused connector. */
export const CONNECTOR_PAUSED = 'CONNECTOR_PAUSED';

/** The signal, without arguments, that wakes a job: it then checks again whether it may go on. */
export const WAKE_SIGNAL = 'wake';

/** Workflow types, as `temporal workflow start --type` names them. */
export const RECONCILE_WORKFLOW = 'reconcile';

export const VALIDATE_WORKFLOW = 'validateConnector';

export const ALERT_WORKFLOW = 'sendAlert';

/** Type of the failure while another job holds the connector; Temporal retries until the claim succeeds. */
export const CONNECTOR_BUSY = 'CONNECTOR_BUSY';
