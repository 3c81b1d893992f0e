import { ClientError, Status } from 'nice-grpc';
import type { CatalogClients } from '../../catalog-client/connect.ts';
import type { Connector } from '../../generated/reconciler/v1/connectors.ts';
import type { ResolveResponse } from '../../generated/reconciler/v1/directory.ts';
import { parseName } from '../../names.ts';
import { UsageError } from '../io/errors.ts';
import { withDeadline } from './context.ts';

/** Finds a connector by its display name or, if none has that name, by its id. */
export async function connectorOf(clients: CatalogClients, nameOrId: string): Promise<Connector> {
  try {
    return await clients.connectors.getConnector({ by: { $case: 'displayName', value: nameOrId } }, withDeadline());
  } catch (error) {
    if (!(error instanceof ClientError) || error.code !== Status.NOT_FOUND) throw error;
    try {
      return await clients.connectors.getConnector({ by: { $case: 'connectorId', value: nameOrId } }, withDeadline());
    } catch (byIdError) {
      // The first error names the display name, which is what people usually type.
      throw byIdError instanceof ClientError && byIdError.code === Status.NOT_FOUND ? error : byIdError;
    }
  }
}

/** The id of a table, written catalog.namespace.table. */
export async function tableIdOf(clients: CatalogClients, text: string): Promise<string> {
  const parts = parseName(text);
  if (parts.length < 3)
    throw new UsageError(`'${text}' is not the name of a table`, 'write a table as catalog.namespace.table');
  const { tableId } = await resolve(clients, parts, true);
  if (tableId === '')
    throw new UsageError(`'${text}' is a view, not a table`, `\`reconciler view get ${text}\` shows it`);
  return tableId;
}

/** The id of a view, written catalog.namespace.view. */
export async function viewIdOf(clients: CatalogClients, text: string): Promise<string> {
  const parts = parseName(text);
  if (parts.length < 3)
    throw new UsageError(`'${text}' is not the name of a view`, 'write a view as catalog.namespace.view');
  const { viewId } = await resolve(clients, parts, true);
  if (viewId === '')
    throw new UsageError(`'${text}' is a table, not a view`, `\`reconciler table get ${text}\` shows it`);
  return viewId;
}

/** The id of a namespace, written catalog.namespace. */
export async function namespaceIdOf(clients: CatalogClients, text: string): Promise<string> {
  const parts = parseName(text);
  if (parts.length < 2) {
    throw new UsageError(
      `'${text}' is not the name of a namespace`,
      `write a namespace as catalog.namespace; \`reconciler namespace list ${text}\` lists them`,
    );
  }
  return (await resolve(clients, parts, false)).namespaceId;
}

/** The id of a catalog, and the namespace path below it as written; that namespace does not have to exist. */
export async function catalogIdOf(
  clients: CatalogClients,
  text: string,
): Promise<{ catalogId: string; path: string[] }> {
  const [catalog = '', ...path] = parseName(text);
  return { catalogId: (await resolve(clients, [catalog], false)).catalogId, path };
}

function resolve(clients: CatalogClients, parts: string[], object: boolean): Promise<ResolveResponse> {
  const [catalog, ...rest] = parts;
  const namespacePath = object ? rest.slice(0, -1) : rest;
  const value = { catalog, namespacePath, object: object ? rest.at(-1) : '' };
  return clients.directory.resolve({ name: { $case: 'parts', value }, object }, withDeadline());
}
