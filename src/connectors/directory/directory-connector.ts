import { CodedError } from '../../errors.ts';
import { localPathCandidates } from '../../storage/file-uri.ts';
import type { ObjectStore } from '../../storage/object-store.ts';
import type { Usage } from '../../storage/usage.ts';
import { openIcebergTable } from '../iceberg/table-reader.ts';
import type { Connector, NamespacePath, Page, PageRequest, TableEntry, TableReader, TableRef } from '../spi.ts';
import { folderKind, newestMetadata } from './table-folder.ts';

/**
 * A warehouse on a file system: folders are namespaces, and one with Iceberg metadata in its `metadata` folder is a table.
 *
 * Where it cannot be told whether a folder is a namespace or a table, because it may not be read, it is listed as both and fails by
 * itself. Names that start with a dot are hidden, as Hadoop has it. Pages go by name, in the order of UTF-16 code units; the token
 * is the last name, so what comes and goes in between neither repeats nor hides anything else.
 */
export class DirectoryConnector implements Connector {
  readonly format = 'ICEBERG';
  readonly usage: Usage;
  readonly #store: ObjectStore;
  readonly #root: string;

  private constructor(store: ObjectStore, root: string, usage: Usage) {
    this.#store = store;
    this.usage = usage;
    this.#root = root;
  }

  /**
   * @param uri the warehouse's folder. It is taken as it stands; if there is no such folder, percent-decoded.
   * @throws CodedError `NOT_FOUND`, `PERMISSION_DENIED` or `INVALID_ARGUMENT`, with the URI and what to do
   */
  static async open(
    store: ObjectStore,
    uri: string,
    usage: Usage = { requests: 0, bytes: 0 },
  ): Promise<DirectoryConnector> {
    let failure: unknown;
    for (const path of localPathCandidates(uri)) {
      const root = path.length > 1 ? path.replace(/\/+$/, '') || '/' : path;
      try {
        await requireWarehouse(store, root, uri);
        return new DirectoryConnector(store, root, usage);
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
    return { ...names, items: names.items.map((name) => ({ namespace, name })) };
  }

  async fingerprint(table: TableRef): Promise<string> {
    return (await this.#newestMetadata(table)).fingerprint;
  }

  async openTable(table: TableRef): Promise<TableReader> {
    const { path, fingerprint } = await this.#newestMetadata(table);
    return openIcebergTable({
      store: this.#store,
      metadataLocation: path,
      fingerprint,
      folder: this.#folder([...table.namespace, table.name]),
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
      throw new CodedError('INVALID_ARGUMENT', `a page of ${page.size} entries: at least 1 is wanted`);
    }
    const folder = this.#folder(parent);
    if (parent.length > 0 && (await folderKind(this.#store, folder)) === 'table') {
      throw new CodedError('NOT_FOUND', `there is no namespace ${parent.join('.')}: ${folder} is a table`);
    }
    const items: string[] = [];
    for (const entry of await this.#store.list(folder)) {
      if (!entry.folder || entry.name.startsWith('.')) continue;
      if (page.token !== undefined && entry.name <= page.token) continue;
      const found = await folderKind(this.#store, `${folder}/${entry.name}`);
      if (found !== kind && found !== 'unknown') continue;
      if (items.length === page.size) return { items, nextToken: items[items.length - 1] };
      items.push(entry.name);
    }
    return { items };
  }

  #folder(names: readonly string[]): string {
    for (const name of names) {
      if (name === '' || name.startsWith('.') || /[/\0]/.test(name)) {
        throw new CodedError(
          'NOT_FOUND',
          `${JSON.stringify(name)} is no name of a namespace or table in ${this.#root}`,
        );
      }
    }
    return [this.#root === '/' ? '' : this.#root, ...names].join('/');
  }
}

/** The URI must be a folder that holds namespaces. */
async function requireWarehouse(store: ObjectStore, root: string, uri: string): Promise<void> {
  const kind = await folderKind(store, root);
  if (kind === 'table') {
    throw new CodedError(
      'INVALID_ARGUMENT',
      `connector URI ${uri} is a table; give the folder of the warehouse, in which folders are namespaces with tables in them`,
    );
  }
  try {
    await store.list(root);
  } catch (error) {
    if (!(error instanceof CodedError)) throw error;
    const isFile = await store.stat(root).then(
      () => true,
      () => false,
    );
    if (isFile) {
      throw new CodedError('INVALID_ARGUMENT', `connector URI ${uri} is a file; give the folder of the warehouse`);
    }
    const advice = error.code === 'NOT_FOUND' ? ' Give the folder of a warehouse that is there for the worker.' : '';
    throw new CodedError(error.code, `connector URI ${uri}: ${error.message}.${advice}`, { cause: error });
  }
}
