import { activityInfo } from '@temporalio/activity';
import type { IngestHeartbeat, IngestInput, TableOutcome } from '../contract/activities.ts';
import { ChangeList } from './dry-run/change-list.ts';
import { DestinationNamespaces } from './ingest/destination-namespaces.ts';
import { ingestTable as ingest } from './ingest/ingest-table.ts';
import { tableText } from './options/destination.ts';
import { activeConnector } from './runtime/active-connector.ts';
import type { ActivityDeps } from './runtime/deps.ts';
import { withHeartbeat } from './runtime/heartbeat.ts';
import { openUpstream } from './runtime/open-upstream.ts';
import { SPLIT } from './runtime/split-size.ts';

/**
 * Brings one table up to date. A next attempt goes on behind the snapshots that are in, and within a snapshot where the
 * last heartbeat says.
 */
export async function ingestTable(deps: ActivityDeps, input: IngestInput): Promise<TableOutcome> {
  const resume = activityInfo().heartbeatDetails as IngestHeartbeat | undefined;
  return withHeartbeat(`Table ${tableText(input.table)}`, async (heartbeat) => {
    const connector = await activeConnector(deps, input.connectorId);
    await using source = await openUpstream(deps, connector);
    const changes = input.dryRun ? new ChangeList(deps, connector) : undefined;
    const namespaces = new DestinationNamespaces(deps, connector, changes);
    const split = input.split ? (deps.splitSize ?? SPLIT) : undefined;
    return ingest({ deps, connector, source, heartbeat, resume, namespaces, changes, ...input, split });
  });
}
