import type { NamespacePath, TableRef } from '../../contract/upstream-names.ts';
import { CodedError } from '../../errors.ts';
import { openIcebergTable } from '../../formats/iceberg/table-reader.ts';
import type { TableReader } from '../../formats/table-reader.ts';
import { confineStore } from '../../storage/confined-store.ts';
import { localPathCandidates } from '../../storage/file-uri.ts';
import { schemeOf } from '../../storage/location.ts';
import type { ObjectStore } from '../../storage/object-store.ts';
import { newUsage, type Usage } from '../../storage/usage.ts';
import type { Page, PageRequest, TableEntry, UpstreamCatalog } from '../spi.ts';
import { folderKind, newestMetadata } from './table-folder.ts';

/** How many folders are listed in parallel. */
const MAX_PARALLEL_LISTINGS = 16;

export interface DirectoryOptions {
  /** The counters to which the store adds its requests and bytes. */
  usage?: Usage;
  /** Locations that tables may read besides their own folders. */
  allowed?: readonly string[];
}

/**
 * A warehouse on a file system or S3: folders are namespaces, and one with Iceberg metadata in its `metadata` folder is a table.
 *
 * A folder that may not be read can be a namespace or a table; it is listed as both, and reading it fails. Names that start with a dot are
 * hidden, as in Hadoop. Pages are in the order of the store's listing. The page token is the last name of the page, so folders that appear or
 * disappear between pages neither repeat nor hide other ones.
 *
 * A table is read from its own folder. Paths below its metadata's `location` are looked up there too, because the table may have been moved.
 * Every other location that the metadata names is `PERMISSION_DENIED` unless it is allowed.
 */
export class DirectoryConnector implements UpstreamCatalog {
  readonly usage: Usage;
  readonly #store: ObjectStore;
  readonly #root: string;
  readonly #allowed: readonly string[];

  private constructor(store: ObjectStore, root: string, { usage, allowed }: DirectoryOptions) {
    this.#store = store;
    this.#root = root;
    this.usage = usage ?? newUsage();
    this.#allowed = allowed ?? [];
  }

  /**
   * @param uri the warehouse's folder; percent-decoded if there is no local folder of exactly this name
   * @throws CodedError `NOT_FOUND`, `PERMISSION_DENIED` or `INVALID_ARGUMENT`; the message names the URI and states what to do
   */
  static async open(store: ObjectStore, uri: string, options: DirectoryOptions = {}): Promise<DirectoryConnector> {
    let failure: unknown;
    for (const path of schemeOf(uri) === 'file' ? localPathCandidates(uri) : [uri]) {
      const root = path.length > 1 ? path.replace(/\/+$/, '') || '/' : path;
      try {
        await requireWarehouse(store, root, uri);
        return new DirectoryConnector(store, root, options);
      } catch (error) {
        failure ??= error;
        if (!(error instanceof CodedError) || error.code !== 'NOT_FOUND') throw error;
      }
    }
    throw failure;
  }

  async listNamespaces(parent: NamespacePath, page: PageRequest): Promise<Page<NamespacePath>> {
    const names = await this.#page(parent, 'namespace', page);
    return { ...names, items: names.items.map((name) => [...parent, name]) };
  }

  async listTables(namespace: NamespacePath, page: PageRequest): Promise<Page<TableEntry>> {
    const names = await this.#page(namespace, 'table', page);
    return { ...names, items: names.items.map((name) => ({ namespace, name, format: 'ICEBERG' })) };
  }

  async fingerprint(table: TableRef): Promise<string> {
    return (await this.#newestMetadata(table)).fingerprint;
  }

  async openTable(table: TableRef): Promise<TableReader> {
    const { path, fingerprint } = await this.#newestMetadata(table);
    const folder = this.#folder([...table.namespace, table.name]);
    return openIcebergTable({
      store: confineStore(this.#store, [folder, ...this.#allowed]),
      metadataLocation: path,
      fingerprint,
      folder,
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {}

  async #newestMetadata({ namespace, name }: TableRef): ReturnType<typeof newestMetadata> {
    const folder = this.#folder([...namespace, name]);
    return newestMetadata(this.#store, folder).catch((error) => {
      if (!(error instanceof CodedError) || error.code !== 'NOT_FOUND') throw error;
      throw new CodedError('NOT_FOUND', `there is no table ${[...namespace, name].join('.')}: ${error.message}`, {
        cause: error,
      });
    });
  }

  async #page(parent: NamespacePath, kind: 'namespace' | 'table', page: PageRequest): Promise<Page<string>> {
    if (!Number.isInteger(page.size) || page.size < 1) {
      throw new CodedError('INVALID_ARGUMENT', `page size ${page.size} is not valid: it must be at least 1`);
    }
    const folder = this.#folder(parent);
    if (parent.length > 0 && (await folderKind(this.#store, folder)) === 'table') {
      throw new CodedError('NOT_FOUND', `there is no namespace ${parent.join('.')}: ${folder} is a table`);
    }
    const items: string[] = [];
    const after = page.token === undefined ? undefined : `${page.token}/`;
    for await (const listed of this.#store.list(folder, { after })) {
      const remaining = listed.filter(({ name, folder }) => folder && !name.startsWith('.'));
      for (let next = 0; next < remaining.length; next += MAX_PARALLEL_LISTINGS) {
        const entries = remaining.slice(next, next + MAX_PARALLEL_LISTINGS);
        const kinds = await Promise.all(entries.map(({ name }) => folderKind(this.#store, `${folder}/${name}`)));
        for (const [index, { name }] of entries.entries()) {
          if (kinds[index] !== kind && kinds[index] !== 'unknown') continue;
          if (items.length === page.size) return { items, nextToken: items[items.length - 1] };
          items.push(name);
        }
      }
    }
    return { items };
  }

  #folder(names: readonly string[]): string {
    for (const name of names) {
      if (name === '' || name.startsWith('.') || /[/\0]/.test(name)) {
        throw new CodedError(
          'NOT_FOUND',
          `${JSON.stringify(name)} cannot be the name of a namespace or table in ${this.#root}`,
        );
      }
    }
    return [this.#root === '/' ? '' : this.#root, ...names].join('/');
  }
}

/** Throws unless the URI is a folder that can contain namespaces. */
async function requireWarehouse(store: ObjectStore, root: string, uri: string): Promise<void> {
  const kind = await folderKind(store, root);
  if (kind === 'table') {
    throw new CodedError(
      'INVALID_ARGUMENT',
      `connector URI ${uri} is a table. Use the folder of the warehouse: its folders are namespaces, which contain tables.`,
    );
  }
  try {
    for await (const _ of store.list(root)) break;
  } catch (error) {
    if (!(error instanceof CodedError)) throw error;
    const isFile = await store.stat(root).then(
      () => true,
      () => false,
    );
    if (isFile) {
      throw new CodedError('INVALID_ARGUMENT', `connector URI ${uri} is a file. Use the folder of the warehouse.`);
    }
    const advice = error.code === 'NOT_FOUND' ? ' Use the folder of a warehouse that the worker can reach.' : '';
    throw new CodedError(error.code, `connector URI ${uri}: ${error.message}.${advice}`, { cause: error });
  }
}
