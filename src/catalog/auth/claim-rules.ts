import type { BindingsDefinition } from '../../generated/reconciler/internal/v1/bindings.ts';
import type { IngestionDefinition } from '../../generated/reconciler/internal/v1/ingestion.ts';
import type { ReconciliationDefinition } from '../../generated/reconciler/internal/v1/reconciliation.ts';
import type { MethodOf } from './permissions.ts';

type InternalMethod = MethodOf<
  typeof BindingsDefinition | typeof IngestionDefinition | typeof ReconciliationDefinition
>;

/**
 * Whose claim a call of a worker must have.
 *
 * - `none`: it reads, or is how a job gets its claim.
 * - `connector`: the connector that the request names.
 * - `connector unless validate_only`: as before, but a call that only validates writes nothing.
 * - `table`: the connector to which the table is bound (see `getTableRowToWrite`). Tables that no connector owns need no claim.
 * - `job`: the job that the request names must have it (see `requireClaimOfJob`).
 */
export type ClaimRule = 'none' | 'connector' | 'connector unless validate_only' | 'table' | 'job';

/** Every RPC of the internal services: one without an entry does not compile. */
export const CLAIM_RULES: Readonly<Record<InternalMethod, ClaimRule>> = {
  '/reconciler.internal.v1.Bindings/LookupBindings': 'none',
  '/reconciler.internal.v1.Bindings/ReadBoundTable': 'none',
  '/reconciler.internal.v1.Bindings/ListBindings': 'none',
  '/reconciler.internal.v1.Bindings/CountBindings': 'none',
  '/reconciler.internal.v1.Bindings/MarkMissing': 'connector',
  '/reconciler.internal.v1.Bindings/EnsureTable': 'connector unless validate_only',
  '/reconciler.internal.v1.Bindings/EnsureView': 'connector unless validate_only',

  '/reconciler.internal.v1.Ingestion/ExpireSnapshots': 'table',
  '/reconciler.internal.v1.Ingestion/ListFilesToSketch': 'none',
  '/reconciler.internal.v1.Ingestion/PutFileSketches': 'table',
  '/reconciler.internal.v1.Ingestion/CompareSnapshots': 'none',
  '/reconciler.internal.v1.Ingestion/CommitSnapshot': 'table',
  '/reconciler.internal.v1.Ingestion/UpdateTable': 'table',

  '/reconciler.internal.v1.Reconciliation/ClaimConnector': 'none',
  '/reconciler.internal.v1.Reconciliation/EndJob': 'job',
  '/reconciler.internal.v1.Reconciliation/RecordJob': 'job',
  '/reconciler.internal.v1.Reconciliation/RecordJobChanges': 'job',
  '/reconciler.internal.v1.Reconciliation/RecordJobOutcomes': 'job',
  '/reconciler.internal.v1.Reconciliation/EnsureDestination': 'connector unless validate_only',
  '/reconciler.internal.v1.Reconciliation/DropMissing': 'connector',
  '/reconciler.internal.v1.Reconciliation/DropExpiredSnapshots': 'connector unless validate_only',
  '/reconciler.internal.v1.Reconciliation/BindDestination': 'connector',
  '/reconciler.internal.v1.Reconciliation/GetConnectorDraft': 'none',
  // It only counts: a validation reads an upstream without a job.
  '/reconciler.internal.v1.Reconciliation/AcquireRequests': 'none',
};

/** The connector whose claim a call must have; undefined if none, or if the RPC itself finds out. */
export function claimedConnectorOf(method: string, request: unknown): string | undefined {
  const rule = Object.hasOwn(CLAIM_RULES, method) ? CLAIM_RULES[method as InternalMethod] : 'none';
  if (rule !== 'connector' && rule !== 'connector unless validate_only') return undefined;
  const { connectorId, validateOnly } = request as { connectorId: string; validateOnly?: boolean };
  return validateOnly && rule === 'connector unless validate_only' ? undefined : connectorId;
}
