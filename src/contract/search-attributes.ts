import { defineSearchAttributeKey, SearchAttributeType } from '@temporalio/common';

/**
 * Search attributes of reconcile workflows, so that the Temporal UI can list the runs of one connector. All are keywords. They must be
 * registered before a workflow sets them: a workflow task that sets an unknown one fails and is retried forever.
 */
export const SEARCH_ATTRIBUTES = {
  connector: defineSearchAttributeKey('ReconcilerConnector', SearchAttributeType.KEYWORD),
  tenant: defineSearchAttributeKey('ReconcilerTenant', SearchAttributeType.KEYWORD),
  /** `incremental` or `full`. */
  mode: defineSearchAttributeKey('ReconcilerMode', SearchAttributeType.KEYWORD),
  /** The state in which the job ended. */
  outcome: defineSearchAttributeKey('ReconcilerOutcome', SearchAttributeType.KEYWORD),
} as const;
