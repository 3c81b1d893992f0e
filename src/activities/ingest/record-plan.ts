import type { TableOutcome } from '../../contract/activities.ts';
import type { TableReader } from '../../formats/table-reader.ts';
import type { ChangeList } from '../dry-run/change-list.ts';
import { goneChange } from '../dry-run/object-changes.ts';
import { tableChange } from '../plan/table-change.ts';
import type { TableIngest } from '../plan/table-ingest.ts';
import type { TablePlan } from '../plan/table-plan.ts';
import { requestsMade } from '../runtime/request-count.ts';

/** Records what applying the plan would change. Files are not read, so that none are counted. */
export async function recordPlan(
  plan: TablePlan,
  { connector, upstream, table }: TableIngest,
  reader: TableReader,
  changes: ChangeList,
): Promise<TableOutcome> {
  const change = tableChange(plan, reader.descriptor, table);
  if (change) await changes.record(change);
  if (plan.ensured.replacesView) {
    const name = { namespacePath: [...table.namespace], name: table.name };
    const reason = 'upstream has a table by its name instead';
    await changes.record(goneChange(connector, 'views', name, 'DROP', reason));
  }
  const { added, captured } = plan.snapshotCounts;
  const expired = plan.snapshots.expired.length;
  return {
    changed: plan.changes,
    counts: {
      snapshotsIngested: added + captured,
      bytesRead: reader.bytesRead,
      upstreamRequests: requestsMade(upstream.usage),
      ...(plan.isCutByDefault && { tablesCut: 1 }),
      ...(plan.dropsExpired && expired > 0 ? { snapshotsDropped: expired } : {}),
    },
  };
}
