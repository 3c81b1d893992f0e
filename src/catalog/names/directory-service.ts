import { CodedError } from '../../errors.ts';
import type { DirectoryServiceImplementation, Name, ResolveRequest } from '../../generated/reconciler/v1/directory.ts';
import { formatName, parseName } from '../../names.ts';
import type { ServiceDeps } from '../core/ports.ts';
import { Checks, checkIds, invalid } from '../rpc/violations.ts';
import { findCatalogByName, getCatalog } from '../store/namespaces/catalogs.ts';
import { findNamespace, getNamespace } from '../store/namespaces/namespaces.ts';
import { findObject } from '../store/namespaces/object-names.ts';
import { getTableRow, isReadable } from '../store/tables/tables.ts';
import { getView } from '../store/tables/views.ts';

/** The service Directory. */
export function createDirectoryService({ db }: ServiceDeps): DirectoryServiceImplementation {
  return {
    async resolve(request) {
      const name = nameOf(request);
      const text = formatName(parts(name));
      const catalog = await findCatalogByName(db, name.catalog);
      if (!catalog) throw missing(text, 'catalog', [name.catalog]);
      if (name.namespacePath.length === 0) return { catalogId: catalog.catalogId, name };
      const namespace = await findNamespace(db, catalog.catalogId, name.namespacePath);
      if (!namespace) throw missing(text, 'namespace', [name.catalog, ...name.namespacePath]);
      const found = { catalogId: catalog.catalogId, namespaceId: namespace.namespaceId, name };
      if (name.object === '') return found;
      const object = await findObject(db, namespace.namespaceId, name.object);
      if (!object || !(await isReadable(db, object))) throw missing(text, 'table or view', parts(name));
      return { ...found, ...(object.startsWith('view_') ? { viewId: object } : { tableId: object }) };
    },

    async lookup(request) {
      checkIds({ id: request.id });
      const name = await nameOfId(request.id);
      return { name, text: formatName(parts(name)) };
    },
  };

  async function nameOfId(id: string): Promise<Name> {
    const kind = id.slice(0, id.indexOf('_'));
    if (kind === 'cat') return { catalog: (await getCatalog(db, id)).displayName, namespacePath: [], object: '' };
    if (kind === 'ns') {
      const namespace = await getNamespace(db, id);
      return {
        catalog: (await getCatalog(db, namespace.catalogId)).displayName,
        namespacePath: namespace.path,
        object: '',
      };
    }
    if (kind === 'tbl' || kind === 'view') {
      const { name, namespace_id } =
        kind === 'tbl'
          ? await getTableRow(db, id)
          : await getView(db, id).then((v) => ({ name: v.name, namespace_id: v.namespaceId }));
      return { ...(await nameOfId(namespace_id)), object: name };
    }
    throw new CodedError('NOT_FOUND', `id ${id} is not the id of a catalog, namespace, table or view`);
  }
}

function nameOf(request: ResolveRequest): Name {
  if (!request.name) throw invalid('name', 'is required: set parts or text');
  if (request.name.$case === 'parts') {
    const name = request.name.value;
    const checks = new Checks();
    checks.text(name.catalog, 'parts.catalog', { min: 1 });
    checks.that(
      name.object === '' || name.namespacePath.length > 0,
      'parts.namespace_path',
      'is required if object is set',
    );
    checks.done();
    return name;
  }
  const [catalog = '', ...rest] = parseName(request.name.value);
  if (!request.object) return { catalog, namespacePath: rest, object: '' };
  const object = rest.pop();
  if (object === undefined || rest.length === 0) {
    throw invalid('text', `'${request.name.value}' is not the name of a table or view: use catalog.namespace.name`);
  }
  return { catalog, namespacePath: rest, object };
}

function parts(name: Name): string[] {
  return [name.catalog, ...name.namespacePath, ...(name.object === '' ? [] : [name.object])];
}

function missing(whole: string, kind: string, path: string[]): CodedError {
  const name = formatName(path);
  return new CodedError(
    'NOT_FOUND',
    `${kind} '${name}' does not exist${name === whole ? '' : `, so ${whole} cannot be resolved`}`,
  );
}
