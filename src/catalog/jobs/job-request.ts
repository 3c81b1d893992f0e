import { captureModeFromProto, snapshotSelectionFromProto } from '../../contract/capture-options-proto.ts';
import type { ReconcileRequest } from '../../contract/job.ts';
import type { Connector, TriggerReconcileRequest } from '../../generated/reconciler/v1/connectors.ts';

/** The input of the workflow that a trigger starts. */
export function requestOf(connector: Connector, trigger: TriggerReconcileRequest): ReconcileRequest {
  const scope: NonNullable<ReconcileRequest['scope']> = {};
  if (trigger.destinationNamespacePaths.length > 0) scope.namespaces = trigger.destinationNamespacePaths;
  if (trigger.destinationTableName !== '') scope.table = trigger.destinationTableName;
  if (trigger.destinationColumns.length > 0) scope.columns = trigger.destinationColumns;
  const [snapshots, mode] = [snapshotSelectionFromProto(trigger.snapshots), captureModeFromProto(trigger.mode)];
  return {
    connector: connector.connectorId,
    connectorName: connector.displayName,
    trigger: 'manual',
    ...(snapshots ? { snapshots } : {}),
    ...(mode ? { mode } : {}),
    ...(trigger.full ? { full: true } : {}),
    ...(trigger.dryRun ? { dryRun: true } : {}),
    ...(trigger.allowMissing ? { allowMissing: true } : {}),
    ...(Object.keys(scope).length > 0 ? { scope } : {}),
  };
}

/**
 * Whether two requests for the same connector ask for the same work. What started them and how they name the connector is ignored, as is
 * the order of keys and list items. A flag that is false equals an absent one.
 */
export function isSameWork(a: ReconcileRequest, b: ReconcileRequest): boolean {
  return comparableRequest(a) === comparableRequest(b);
}

function comparableRequest({ connector: _, connectorName: __, trigger: ___, ...rest }: ReconcileRequest): string {
  return JSON.stringify(canonical(rest));
}

function canonical(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(canonical).sort();
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value)
    .map(([key, item]) => [key, canonical(item)] as const)
    .filter(([, item]) => item !== undefined && item !== false && !(Array.isArray(item) && item.length === 0));
  return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)));
}
