import { defineSearchAttributeKey, type SearchAttributePair, SearchAttributeType } from '@temporalio/common';
import type { ReconcileRequest } from './job.ts';
import { DEFAULT_TENANT } from './tenant.ts';

/**
 * Search attributes of reconcile workflows, so that the Temporal UI can list the runs of one connector. They must be registered before a
 * workflow sets them: a workflow task that sets an unknown one fails and is retried forever. An SQL database of Temporal has room for ten
 * keywords and three Bools per namespace, so nothing is added lightly.
 */
export const SEARCH_ATTRIBUTES = {
  connector: defineSearchAttributeKey('ReconcilerConnector', SearchAttributeType.KEYWORD),
  tenant: defineSearchAttributeKey('ReconcilerTenant', SearchAttributeType.KEYWORD),
  /** `incremental` or `full`. */
  mode: defineSearchAttributeKey('ReconcilerMode', SearchAttributeType.KEYWORD),
  /** The state in which the job ended. */
  outcome: defineSearchAttributeKey('ReconcilerOutcome', SearchAttributeType.KEYWORD),
  /** `manual`, `schedule` or `retry`; `temporal` if the workflow was started by hand in Temporal. */
  trigger: defineSearchAttributeKey('ReconcilerTrigger', SearchAttributeType.KEYWORD),
  dryRun: defineSearchAttributeKey('ReconcilerDryRun', SearchAttributeType.BOOL),
  /** Whether the job waits because its connector is paused, or because of the signal `pause`. */
  paused: defineSearchAttributeKey('ReconcilerPaused', SearchAttributeType.BOOL),
} as const;

type SearchAttribute = (typeof SEARCH_ATTRIBUTES)[keyof typeof SEARCH_ATTRIBUTES];

/** Types as people and Temporal's CLI write them. */
const TYPE_NAMES = { [SearchAttributeType.KEYWORD]: 'Keyword', [SearchAttributeType.BOOL]: 'Bool' } as const;

/** The attribute as Temporal's commands declare it, such as `ReconcilerConnector=Keyword`. */
export function declarationOf({ name, type }: SearchAttribute): string {
  return `${name}=${TYPE_NAMES[type]}`;
}

/** What started a job: the value of `SEARCH_ATTRIBUTES.trigger`. */
export function triggerOf({ trigger }: ReconcileRequest): 'manual' | 'schedule' | 'retry' | 'temporal' {
  return trigger ?? 'temporal';
}

/** The attributes that are known when a job starts, or one of its later runs, which may begin paused. */
export function attributesAtStart(
  connectorName: string,
  request: ReconcileRequest,
  paused = false,
): SearchAttributePair[] {
  return [
    { key: SEARCH_ATTRIBUTES.connector, value: connectorName },
    { key: SEARCH_ATTRIBUTES.tenant, value: request.tenant ?? DEFAULT_TENANT },
    { key: SEARCH_ATTRIBUTES.mode, value: request.full ? 'full' : 'incremental' },
    { key: SEARCH_ATTRIBUTES.trigger, value: triggerOf(request) },
    { key: SEARCH_ATTRIBUTES.dryRun, value: request.dryRun ?? false },
    { key: SEARCH_ATTRIBUTES.paused, value: paused },
  ];
}
