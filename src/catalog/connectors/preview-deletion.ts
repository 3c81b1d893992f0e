import { type DeleteConnectorRequest, DeleteConnectorResponse } from '../../generated/reconciler/v1/connectors.ts';
import { summarizeContents } from '../store/bindings/contents-summary.ts';
import { getConnector } from '../store/connectors/connectors.ts';
import { checkEtag } from '../store/database/errors.ts';
import type { Scoped } from '../store/database/scoped.ts';

/**
 * Counts what a deletion would delete now.
 *
 * @throws CodedError NOT_FOUND, ABORTED if the etag differs
 */
export async function previewDeletion(
  db: Scoped,
  { connectorId, etag, deleteContents }: DeleteConnectorRequest,
): Promise<DeleteConnectorResponse> {
  const connector = await getConnector(db, connectorId);
  checkEtag('connector', connectorId, etag, connector.etag);
  if (!deleteContents) return DeleteConnectorResponse.create();
  const { tables, views, snapshots, namespaceCount, namespaces } = await summarizeContents(db, connectorId);
  return {
    tablesDeleted: BigInt(tables),
    viewsDeleted: BigInt(views),
    snapshotsDeleted: BigInt(snapshots),
    namespaceCount: BigInt(namespaceCount),
    namespaces,
  };
}
