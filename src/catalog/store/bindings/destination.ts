import { CodedError } from '../../../errors.ts';
import type { Catalog } from '../../../generated/reconciler/v1/catalogs.ts';
import type { Connector, DestinationTarget } from '../../../generated/reconciler/v1/connectors.ts';
import type { Namespace } from '../../../generated/reconciler/v1/namespaces.ts';
import { formatName } from '../../../names.ts';
import type { Scoped } from '../database/scoped.ts';
import { findCatalogByName, getCatalog, insertCatalog } from '../namespaces/catalogs.ts';
import { findNamespace, getNamespace, insertNamespace } from '../namespaces/namespaces.ts';

type Db = Scoped;

/** The destination's catalog, created if there is none of that name. The default name is the connector's. */
export async function ensureCatalog(
  db: Db,
  destination: DestinationTarget,
  connector: Connector,
): Promise<{ catalog: Catalog; catalogMade: boolean }> {
  const { catalogId, catalogName } = destination;
  if (catalogId === '') {
    const displayName = catalogName || connector.displayName;
    const found = await findCatalogByName(db, displayName);
    const catalog = found ?? (await insertCatalog(db, { displayName, description: '', properties: {} }));
    return { catalog, catalogMade: !found };
  }
  const catalog = await getCatalog(db, catalogId);
  if (catalogName !== '' && catalogName !== catalog.displayName) {
    throw differs(
      connector,
      `catalog_id ${catalogId} is the catalog '${catalog.displayName}', catalog_name is '${catalogName}'`,
    );
  }
  return { catalog, catalogMade: false };
}

/** The destination's namespace, created if it does not exist; its default path is the source's. Undefined if both are empty. */
export async function ensureNamespace(
  db: Db,
  destination: DestinationTarget,
  catalog: Catalog,
  connector: Connector,
  sourcePath: readonly string[],
): Promise<{ namespace?: Namespace; namespaceMade: boolean }> {
  const { namespaceId, namespacePath } = destination;
  if (namespaceId !== '') {
    const namespace = await getNamespace(db, namespaceId);
    if (namespace.catalogId !== catalog.catalogId) {
      throw differs(connector, `namespace_id ${namespaceId} is not in the catalog '${catalog.displayName}'`);
    }
    const name = formatName(namespace.path);
    if (namespacePath.length > 0 && formatName(namespacePath) !== name) {
      const path = formatName(namespacePath);
      throw differs(connector, `namespace_id ${namespaceId} is the namespace '${name}', namespace_path is '${path}'`);
    }
    return { namespace, namespaceMade: false };
  }
  const path = namespacePath.length > 0 ? namespacePath : [...sourcePath];
  if (path.length === 0) return { namespaceMade: false };
  const found = await findNamespace(db, catalog.catalogId, path);
  const { catalogId } = catalog;
  const namespace = found ?? (await insertNamespace(db, { catalogId, path, description: '', properties: {} }));
  return { namespace, namespaceMade: !found };
}

function differs(connector: Connector, what: string): CodedError {
  return new CodedError(
    'FAILED_PRECONDITION',
    `destination of connector '${connector.displayName}': ${what}; update the connector so that they agree`,
  );
}
