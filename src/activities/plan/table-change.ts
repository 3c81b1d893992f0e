import type { TableRef } from '../../contract/upstream-names.ts';
import type { TableDescriptor } from '../../formats/table-reader.ts';
import { formatName } from '../../names.ts';
import { plural } from '../../text.ts';
import type { Change } from '../dry-run/change.ts';
import { hasMoved } from '../options/destination.ts';
import type { SnapshotCounts, TablePlan } from './table-plan.ts';

/** A table's plan in words; undefined if nothing would be done. */
export function tableChange(plan: TablePlan, descriptor: TableDescriptor, table: TableRef): Change | undefined {
  const { destination, ensured, changes } = plan;
  const reasons = ensured.made ? [] : updateReasons(plan, descriptor);
  if (ensured.made) reasons.push(`not in the catalog yet: ${snapshotsText(plan.snapshotCounts) || 'no snapshot'}`);
  if (plan.snapshotCounts.verified > 0) reasons.push(`${plural(plan.snapshotCounts.verified, 'snapshot')} to verify`);
  const { retried } = plan.snapshotCounts;
  if (retried > 0) reasons.push(`${plural(retried, 'snapshot')} that could not be read before`);
  if (reasons.length === 0) return undefined;
  return {
    kind: 'TABLE',
    action: ensured.made ? 'CREATE' : changes ? 'UPDATE' : 'VERIFY',
    name: [...table.namespace, table.name],
    destination: [...destination.namespacePath, destination.name],
    reason: reasons.join(', '),
  };
}

function updateReasons(plan: TablePlan, descriptor: TableDescriptor): string[] {
  const { ensured, destination, snapshots, dropsExpired, move, changes } = plan;
  const { stored, before, emptied } = ensured;
  const reasons: string[] = [];
  const text = snapshotsText(plan.snapshotCounts, 'new snapshot');
  if (text) reasons.push(text);
  const { size: replaced } = snapshots.replaced;
  if (replaced > 0) reasons.push(`${replaced === 1 ? 'one id stands' : `${replaced} ids stand`} for another snapshot`);
  const expired = snapshots.expired.length;
  if (expired > 0) reasons.push(`${expired} expired${dropsExpired ? ', dropped immediately' : ''}`);
  if (before?.missing) reasons.push('exists upstream again');
  if (before?.objectId === '') reasons.push('takes over the table of that name, which no connector owns');
  if (before?.objectId && hasMoved(before, destination)) {
    reasons.push(`moves from ${formatName([...before.namespacePath, before.name])}`);
  }
  if (emptied) reasons.push('was dropped and created again upstream: the contents of the old table are deleted');
  const schema = descriptor.schemas.find(({ id }) => id === descriptor.currentSchemaId);
  const isNewSchema = stored.schema?.schemaId !== schema?.id || stored.schema?.json !== schema?.json;
  if (move?.changes && isNewSchema) reasons.push('schema changed');
  if (changes && reasons.length === 0) {
    const isSameHead = stored.currentSnapshotId === descriptor.currentSnapshotId;
    reasons.push(isSameHead ? 'metadata changed' : 'another current snapshot');
  }
  return reasons;
}

function snapshotsText({ added, captured }: SnapshotCounts, noun = 'snapshot'): string {
  return [
    ...(added > 0 ? [plural(added, noun)] : []),
    ...(captured > 0 ? [`files of ${plural(captured, 'snapshot')}`] : []),
  ].join(', ');
}
