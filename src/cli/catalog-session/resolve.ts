import { ClientError, Status } from 'nice-grpc';
import type { CatalogClients } from '../../catalog-client/connect.ts';
import type { Connector } from '../../generated/reconciler/v1/connectors.ts';
import type { ResolveResponse } from '../../generated/reconciler/v1/directory.ts';
import { formatName, parseName } from '../../names.ts';
import { shellWord } from '../../text.ts';
import { UsageError } from '../io/errors.ts';
import { rememberName } from '../io/known-names.ts';
import { withDeadline } from './context.ts';
import { SEARCHED, suggesting } from './suggesting.ts';

/** Finds a connector by its display name or, if none has that name, by its id. */
export function connectorOf(clients: CatalogClients, nameOrId: string): Promise<Connector> {
  return suggesting(findConnector(clients, nameOrId), nameOrId, async () => {
    const { connectors } = await clients.connectors.listConnectors({ pageSize: SEARCHED }, withDeadline());
    return { names: connectors.map(({ displayName }) => displayName), list: 'connector list' };
  });
}

async function findConnector(clients: CatalogClients, nameOrId: string): Promise<Connector> {
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
    throw new UsageError(`'${text}' is a view, not a table`, `\`reconciler view get ${shellWord(text)}\` shows it`);
  return tableId;
}

/** The id of a view, written catalog.namespace.view. */
export async function viewIdOf(clients: CatalogClients, text: string): Promise<string> {
  const parts = parseName(text);
  if (parts.length < 3)
    throw new UsageError(`'${text}' is not the name of a view`, 'write a view as catalog.namespace.view');
  const { viewId } = await resolve(clients, parts, true);
  if (viewId === '')
    throw new UsageError(`'${text}' is a table, not a view`, `\`reconciler table get ${shellWord(text)}\` shows it`);
  return viewId;
}

/** The id of a namespace, written catalog.namespace. */
export async function namespaceIdOf(clients: CatalogClients, text: string): Promise<string> {
  const parts = parseName(text);
  if (parts.length < 2) {
    throw new UsageError(
      `'${text}' is not the name of a namespace`,
      `write a namespace as catalog.namespace; \`reconciler namespace list ${shellWord(text)}\` lists them`,
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

async function resolve(clients: CatalogClients, parts: string[], object: boolean): Promise<ResolveResponse> {
  const [catalog, ...rest] = parts;
  const namespacePath = object ? rest.slice(0, -1) : rest;
  const value = { catalog, namespacePath, object: object ? rest.at(-1) : '' };
  const resolved = clients.directory.resolve({ name: { $case: 'parts', value }, object }, withDeadline());
  const found = await suggesting(resolved, formatName(parts), () => namesLike(clients, parts, object));
  const { catalogId, namespaceId, tableId, viewId } = found;
  rememberName(catalogId, formatName(parts.slice(0, 1)));
  rememberName(namespaceId, formatName([catalog ?? '', ...namespacePath]));
  rememberName(tableId || viewId, formatName(parts));
  return found;
}

/** What exists on the first level at which the name leads to nothing: catalogs, namespaces, or tables and views. */
async function namesLike(clients: CatalogClients, parts: string[], object: boolean) {
  const [catalogName = '', ...rest] = parts;
  const page = { pageSize: SEARCHED };
  const { catalogs } = await clients.catalogs.listCatalogs(page, withDeadline());
  const catalog = catalogs.find(({ displayName }) => displayName === catalogName);
  // The rest of the name as it was typed, so that the suggestion is a whole name.
  if (!catalog) {
    const names = catalogs.map(({ displayName }) => formatName([displayName, ...rest]));
    return { names, list: 'catalog list' };
  }
  const { catalogId } = catalog;
  const path = object ? rest.slice(0, -1) : rest;
  const { namespaces } = await clients.namespaces.listNamespaces({ ...page, catalogId }, withDeadline());
  const namespace = namespaces.find((each) => formatName(each.path) === formatName(path));
  if (!namespace) {
    const below = object ? rest.slice(-1) : [];
    const names = namespaces.map((each) => formatName([catalogName, ...each.path, ...below]));
    return { names, list: `namespace list ${shellWord(formatName([catalogName]))}` };
  }
  const { namespaceId } = namespace;
  const { tables } = await clients.tables.listTables({ ...page, namespaceId }, withDeadline());
  const { views } = await clients.views.listViews({ ...page, namespaceId }, withDeadline());
  const names = [...tables, ...views].map(({ name }) => formatName([catalogName, ...namespace.path, name]));
  return { names, list: `table list ${shellWord(formatName([catalogName, ...namespace.path]))}` };
}
