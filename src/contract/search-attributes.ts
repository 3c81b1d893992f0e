import { defineSearchAttributeKey, SearchAttributeType } from '@temporalio/common';

/**
 * Search attributes of reconcile workflows, so that the Temporal UI can list the runs of one connector. All keywords. They
 * must be registered before a workflow sets them: a workflow task that sets an unknown one fails again and again.
 */
export const SEARCH_ATTRIBUTES = {
  connector: defineSearchAttributeKey('ReconcilerConnector', SearchAttributeType.KEYWORD),
  tenant: defineSearchAttributeKey('ReconcilerTenant', SearchAttributeType.KEYWORD),
  /** `incremental` or `full`. */
  mode: defineSearchAttributeKey('ReconcilerMode', SearchAttributeType.KEYWORD),
  /** The job's last state. */
  outcome: defineSearchAttributeKey('ReconcilerOutcome', SearchAttributeType.KEYWORD),
} as const;
