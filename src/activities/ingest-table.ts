import { activityInfo } from '@temporalio/activity';
import type { IngestInput, TableCursor, TableHeartbeat, TableOutcome } from '../contract/activities.ts';
import { openChangeList } from './dry-run/change-list.ts';
import { outcomeOf } from './ingest/ingest-progress.ts';
import { ingestTable as ingest } from './ingest/ingest-table.ts';
import { tableText } from './options/destination.ts';
import { OutcomeList } from './outcomes/outcome-list.ts';
import { DestinationNamespaces } from './plan/destination-namespaces.ts';
import { activeUnlessCounted } from './runtime/active-connector.ts';
import type { ActivityDeps } from './runtime/deps.ts';
import { withHeartbeat } from './runtime/heartbeat.ts';
import { openUpstream } from './runtime/open-upstream.ts';
import { SPLIT } from './runtime/split-size.ts';

/**
 * Brings one table up to date, as far as a slice allows. The next attempt, and the next slice, continue after the snapshots that are in, and
 * within a snapshot at the position of the last heartbeat, or where the slice stopped.
 */
export async function ingestTable(deps: ActivityDeps, input: IngestInput): Promise<TableOutcome> {
  const earlier = activityInfo().heartbeatDetails as TableHeartbeat | undefined;
  const resume = earlier ?? resumeAt(input.cursor);
  const continues = ({ cursor }: TableOutcome) => cursor !== undefined;
  return withHeartbeat(`Table ${tableText(input.table)}`, { ...input, continues }, async (heartbeat) => {
    const connector = await activeUnlessCounted(deps, input.connectorId, earlier !== undefined);
    if (!connector) return outcomeOf(earlier as TableHeartbeat);
    await using upstream = await openUpstream(deps, connector);
    const changes = openChangeList(deps, connector, input);
    const namespaces = new DestinationNamespaces(deps, connector, changes);
    const split = input.split ? (deps.splitSize ?? SPLIT) : undefined;
    const outcomes = new OutcomeList(deps);
    const shared = { deps, connector, upstream, heartbeat, namespaces, changes, outcomes };
    const outcome = await ingest({ ...input, ...shared, resume, split });
    await outcomes.flush();
    return outcome;
  });
}

/** A slice continues where the one before it stopped, and counts anew. */
function resumeAt(cursor: TableCursor | undefined): TableHeartbeat | undefined {
  return cursor && { counts: {}, cursor };
}
