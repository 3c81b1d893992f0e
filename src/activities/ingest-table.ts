import { activityInfo } from '@temporalio/activity';
import type { TableRef } from '../connectors/spi.ts';
import type { IngestHeartbeat, ReconcileScope, TableOutcome } from '../workflows/contract.ts';
import type { ActivityDeps } from './deps.ts';
import { tableText } from './destination.ts';
import { withHeart } from './heart.ts';
import { bringIn } from './ingest/bring-in.ts';
import { DestinationNamespaces } from './ingest/destination-namespaces.ts';
import { openSource } from './open-source.ts';

export interface IngestInput {
  connectorId: string;
  table: TableRef;
  full: boolean;
  scope?: ReconcileScope;
}

/**
 * Brings one table up to date. A next attempt goes on behind the snapshots that are in, and within a snapshot where the
 * last heartbeat says.
 */
export async function ingestTable(deps: ActivityDeps, input: IngestInput): Promise<TableOutcome> {
  const resume = activityInfo().heartbeatDetails as IngestHeartbeat | undefined;
  return withHeart(`Table ${tableText(input.table)}`, async (heart) => {
    const connector = await deps.catalog.connectors.getConnector({
      by: { $case: 'connectorId', value: input.connectorId },
    });
    await using source = await openSource(deps, connector);
    const namespaces = new DestinationNamespaces(deps, connector);
    return bringIn({ deps, connector, source, heart, resume, namespaces, ...input });
  });
}
