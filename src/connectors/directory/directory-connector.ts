import type { NamespacePath, TableRef } from '../../contract/upstream-names.ts';
import { CodedError } from '../../errors.ts';
import type { KnownTable, TableFormat, TableReader } from '../../formats/table-reader.ts';
import type { ObjectStore } from '../../storage/object-store.ts';
import type { Usage } from '../../storage/usage.ts';
import type { Page, PageRequest, TableEntry, UpstreamCatalog } from '../spi.ts';
import { FolderKinds } from './folder-kinds.ts';
import { folderFingerprint, openFolder, type TableFolder } from './table-folder.ts';

/** Kinds of folders that are tables. */
const TABLE_KINDS: ReadonlySet<string> = new Set<TableFormat>(['ICEBERG', 'DELTA']);
/** How many folders are listed in parallel. */
const MAX_PARALLEL_LISTINGS = 16;

export interface Directory {
  /** The tables that are listed. Those of the other format are only counted. */
  format: TableFormat;
  store: ObjectStore;
  /** The warehouse's folder. */
  root: string;
  /** The counters to which the store adds its requests and bytes. */
  usage: Usage;
  /** Locations that tables may read besides their own folders. */
  allowed: readonly string[];
}

/**
 * A warehouse on a file system or in an object store: folders are namespaces. A folder with Iceberg metadata in its `metadata` folder is an Iceberg
 * table, one with a `_delta_log` is a Delta table, and one with both is a table for connectors of either format.
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
  readonly #format: TableFormat;
  readonly #store: ObjectStore;
  readonly #root: string;
  readonly #allowed: readonly string[];
  readonly #kinds: FolderKinds;

  constructor({ format, store, root, usage, allowed }: Directory) {
    this.#format = format;
    this.#store = store;
    this.#root = root;
    this.usage = usage;
    this.#allowed = allowed;
    this.#kinds = new FolderKinds(store, format);
  }

  async listNamespaces(parent: NamespacePath, page: PageRequest): Promise<Page<NamespacePath>> {
    const { items, nextToken } = await this.#page(parent, 'namespace', page);
    return { items: items.map((name) => [...parent, name]), ...(nextToken !== undefined && { nextToken }) };
  }

  async listTables(namespace: NamespacePath, page: PageRequest): Promise<Page<TableEntry>> {
    const names = await this.#page(namespace, 'table', page);
    return { ...names, items: names.items.map((name) => ({ namespace, name, format: this.#format })) };
  }

  async fingerprint(table: TableRef, known?: string): Promise<string> {
    return folderFingerprint(this.#format, this.#tableFolder(table), known);
  }

  async openTable(table: TableRef, known?: () => Promise<KnownTable | undefined>): Promise<TableReader> {
    return openFolder(this.#format, this.#tableFolder(table), known);
  }

  async [Symbol.asyncDispose](): Promise<void> {}

  async #page(parent: NamespacePath, kind: 'namespace' | 'table', page: PageRequest): Promise<Page<string>> {
    if (!Number.isInteger(page.size) || page.size < 1) {
      throw new CodedError('INVALID_ARGUMENT', `page size ${page.size} is not valid: it must be at least 1`);
    }
    const folder = this.#folder(parent);
    if (parent.length > 0 && TABLE_KINDS.has(await this.#kinds.of(folder))) {
      throw new CodedError('NOT_FOUND', `there is no namespace ${parent.join('.')}: ${folder} is a table`);
    }
    const wanted = kind === 'table' ? this.#format : kind;
    const items: string[] = [];
    let [otherKinds, sinceLast] = [0, 0];
    const after = page.token === undefined ? undefined : `${page.token}/`;
    for await (const listed of this.#store.list(folder, { after })) {
      const remaining = listed.filter(({ name, folder }) => folder && !name.startsWith('.'));
      for (let next = 0; next < remaining.length; next += MAX_PARALLEL_LISTINGS) {
        const entries = remaining.slice(next, next + MAX_PARALLEL_LISTINGS);
        const kinds = await Promise.all(entries.map(({ name }) => this.#kinds.of(`${folder}/${name}`)));
        for (const [index, { name }] of entries.entries()) {
          if (kinds[index] !== wanted && kinds[index] !== 'unknown') {
            if (kind === 'table' && TABLE_KINDS.has(kinds[index] as string)) sinceLast += 1;
            continue;
          }
          // What follows the last item is listed once more.
          if (items.length === page.size) return { items, otherKinds, nextToken: items[items.length - 1] };
          otherKinds += sinceLast;
          sinceLast = 0;
          items.push(name);
        }
      }
    }
    return { items, otherKinds: otherKinds + sinceLast };
  }

  #tableFolder(table: TableRef): TableFolder {
    const folder = this.#folder([...table.namespace, table.name]);
    return { store: this.#store, folder, allowed: this.#allowed, table };
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
