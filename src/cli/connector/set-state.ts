import { Connector, ConnectorState } from '../../generated/reconciler/v1/connectors.ts';
import { shellWord } from '../../text.ts';
import { type Context, withDeadline } from '../catalog-session/context.ts';
import { connectorOf } from '../catalog-session/resolve.ts';
import { UsageError } from '../io/errors.ts';
import { describeConnector } from './describe.ts';

/**
 * Pauses or resumes a connector, and prints it.
 *
 * @returns The connector after the change.
 */
export async function setState(
  { clients, out }: Context,
  name: string,
  state: ConnectorState.CONNECTOR_STATE_ACTIVE | ConnectorState.CONNECTOR_STATE_PAUSED,
): Promise<Connector> {
  const { connectorId, displayName, etag, state: before } = await connectorOf(clients, name);
  if (before === ConnectorState.CONNECTOR_STATE_DELETING) {
    throw new UsageError(
      `connector '${displayName}' is being deleted`,
      `\`reconciler connector delete ${shellWord(name)}\` continues the deletion`,
    );
  }
  const request = { connector: { connectorId, etag, state }, updateMask: ['state'] };
  const updated = await clients.connectors.updateConnector(request, withDeadline());
  await out.message(Connector, updated, describeConnector);
  return updated;
}
