import { activityInfo } from '@temporalio/activity';
import type { TableRef } from '../connectors/spi.ts';
import type { IngestHeartbeat, ReconcileScope, TableOutcome } from '../workflows/contract.ts';
import { activeConnector } from './active-connector.ts';
import type { ActivityDeps } from './deps.ts';
import { tableText } from './destination.ts';
import { ChangeList } from './dry-run/change-list.ts';
import { withHeart } from './heart.ts';
import { bringIn } from './ingest/bring-in.ts';
import { DestinationNamespaces } from './ingest/destination-namespaces.ts';
import { SPLIT } from './ingest/staged-groups.ts';
import { openSource } from './open-source.ts';
import type { TakingInput } from './taking.ts';

export interface IngestInput extends TakingInput {
  connectorId: string;
  table: TableRef;
  full: boolean;
  scope?: ReconcileScope;
  /** The caller brings in the groups of a big snapshot in activities of their own, and then asks for the table again. */
  split?: boolean;
  dryRun?: boolean;
}

/**
 * Brings one table up to date. A next attempt goes on behind the snapshots that are in, and within a snapshot where the
 * last heartbeat says.
 */
export async function ingestTable(deps: ActivityDeps, input: IngestInput): Promise<TableOutcome> {
  const resume = activityInfo().heartbeatDetails as IngestHeartbeat | undefined;
  return withHeart(`Table ${tableText(input.table)}`, async (heart) => {
    const connector = await activeConnector(deps, input.connectorId);
    await using source = await openSource(deps, connector);
    const changes = input.dryRun ? new ChangeList(deps, connector) : undefined;
    const namespaces = new DestinationNamespaces(deps, connector, changes);
    const split = input.split ? (deps.splitSize ?? SPLIT) : undefined;
    return bringIn({ deps, connector, source, heart, resume, namespaces, changes, ...input, split });
  });
}
