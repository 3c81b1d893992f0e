/**
 * What the reconcile workflow takes and gives: plain JSON, ids and small bounded options only. Imported by the workflow,
 * and for its types by everything that starts or asks it.
 */

/** Workflows and short control activities. */
export const TASK_QUEUE = 'reconciler';

/** Scanning and ingesting, apart so that long ingests never starve a new job's first steps. A connector may name another. */
export const INGEST_TASK_QUEUE = 'reconciler-ingest';

/** Type of the failure with which an activity refuses to work for a paused connector. */
export const CONNECTOR_PAUSED = 'CONNECTOR_PAUSED';

/** Workflow types, as `temporal workflow start --type` names them. */
export const RECONCILE_WORKFLOW = 'reconcile';

export const VALIDATE_WORKFLOW = 'validateConnector';

export const ALERT_WORKFLOW = 'sendAlert';

/** Type of the failure while another job has the connector; it is retried until the claim succeeds. */
export const CONNECTOR_BUSY = 'CONNECTOR_BUSY';
