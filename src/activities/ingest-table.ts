import { activityInfo } from '@temporalio/activity';
import type { IngestHeartbeat, IngestInput, TableOutcome } from '../contract/activities.ts';
import { openChangeList } from './dry-run/change-list.ts';
import { ingestTable as ingest } from './ingest/ingest-table.ts';
import { tableText } from './options/destination.ts';
import { DestinationNamespaces } from './plan/destination-namespaces.ts';
import { activeConnector } from './runtime/active-connector.ts';
import type { ActivityDeps } from './runtime/deps.ts';
import { withHeartbeat } from './runtime/heartbeat.ts';
import { openUpstream } from './runtime/open-upstream.ts';
import { SPLIT } from './runtime/split-size.ts';

/**
 * Brings one table up to date. The next attempt continues after the snapshots that are in, and within a snapshot at the position of the
 * last heartbeat.
 */
export async function ingestTable(deps: ActivityDeps, input: IngestInput): Promise<TableOutcome> {
  const resume = activityInfo().heartbeatDetails as IngestHeartbeat | undefined;
  return withHeartbeat(`Table ${tableText(input.table)}`, async (heartbeat) => {
    const connector = await activeConnector(deps, input.connectorId);
    await using upstream = await openUpstream(deps, connector);
    const changes = openChangeList(deps, connector, input);
    const namespaces = new DestinationNamespaces(deps, connector, changes);
    const split = input.split ? (deps.splitSize ?? SPLIT) : undefined;
    return ingest({ ...input, deps, connector, upstream, heartbeat, resume, namespaces, changes, split });
  });
}
