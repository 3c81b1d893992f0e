import type { NamespacePath, TableRef } from '../../contract/upstream-names.ts';
import { CodedError } from '../../errors.ts';
import { openDeltaTable } from '../../formats/delta/delta-table-reader.ts';
import { deltaFingerprint } from '../../formats/delta/log/delta-log.ts';
import { fingerprintVersion } from '../../formats/delta/log/fingerprint.ts';
import { LogStore } from '../../formats/delta/log/log-store.ts';
import { rememberedStates } from '../../formats/delta/state/remembered-states.ts';
import type { KnownTable, TableReader } from '../../formats/table-reader.ts';
import type { ObjectStore } from '../../storage/object-store.ts';
import type { Usage } from '../../storage/usage.ts';
import { ResponseError } from '../rest/response-error.ts';
import type { Page, PageRequest, TableEntry, UpstreamCatalog, ViewDescriptor, ViewRef } from '../spi.ts';
import { KeptValues } from './kept-values.ts';
import { loadManaged, type ManagedTable } from './managed-commits.ts';
import { isDelta, isView, type TableInfo, type ViewInfo } from './table-info.ts';
import { nameText, tableText, type UnityName } from './unity-api.ts';
import { fingerprintOf, parseFingerprint } from './unity-fingerprint.ts';
import { readPage } from './unity-pages.ts';
import { existingLocation, type UnityStorage, unityStorage } from './unity-storage.ts';
import { viewDescriptor } from './unity-view.ts';

/** Tables per page; the API allows no more. */
const TABLES_PER_PAGE = 50;
/** Catalogs or schemas per page; servers return no more. */
const NAMESPACES_PER_PAGE = 100;
/** How many tables and views are kept from the listing until they are read. */
const MAX_KNOWN = 5_000;
const MAX_KNOWN_VIEWS = 500;
/** Tables whose credentials are kept from the check until the table is read. A page of a scan has at most some hundred changed ones. */
const MAX_KNOWN_STORES = 1_000;
/** A longer view is requested by itself when it is needed. */
const MAX_KNOWN_VIEW_LENGTH = 32 * 1024;

/** Exists in every catalog of Databricks, and has views of the catalog itself. */
const INFORMATION_SCHEMA = 'information_schema';
/** Catalogs whose tables can only be read within Databricks: those of other systems, of other organisations, and of Databricks itself. */
const UNREADABLE_CATALOGS: ReadonlySet<string> = new Set(['FOREIGN_CATALOG', 'DELTASHARING_CATALOG', 'SYSTEM_CATALOG']);

export interface UnityOptions extends UnityStorage {
  /** The connector's property `catalog`; undefined for all catalogs. */
  catalog?: string;
  close(): void;
}

/**
 * The Delta tables and views of a Unity Catalog server or Databricks workspace.
 *
 * With a catalog, namespaces are its schemas; without, they are catalogs with their schemas. Listings contain no versions: whether a table has changed
 * costs one listing of its log if it is external, and one request to the catalog if it is managed.
 */
export class UnityConnector implements UpstreamCatalog {
  readonly usage: Usage;
  readonly #options: UnityOptions;
  /** By `nameText`, as they were listed. */
  readonly #listed = new KeptValues<TableInfo>(MAX_KNOWN);
  /** Tables that were found to have changed. Each state is used once, because a retry must read the current one. */
  readonly #changed = new KeptValues<ManagedTable>(MAX_KNOWN);
  /** The storage of tables, with their temporary credentials: a check and the reading that follows it request them once. */
  readonly #stores = new KeptValues<Pick<ManagedTable, 'id' | 'location'> & { store: ObjectStore }>(MAX_KNOWN_STORES);
  /** As they were listed. Each is used once. */
  readonly #views = new KeptValues<TableInfo & ViewInfo>(MAX_KNOWN_VIEWS);

  constructor(options: UnityOptions) {
    this.#options = options;
    this.usage = options.usage;
  }

  async listNamespaces(parent: NamespacePath, { token }: PageRequest): Promise<Page<NamespacePath>> {
    const { api, catalog = parent[0] } = this.#options;
    const depth = this.#options.catalog === undefined ? parent.length : parent.length + 1;
    if (depth > 1) return { items: [] };
    if (depth === 0 || catalog === undefined) {
      const list = (size: number, next?: string) => api.catalogs(size, next);
      const { items, next } = await readPage(list, ({ name }) => name, NAMESPACES_PER_PAGE, token);
      const readable = items.filter(({ type }) => !UNREADABLE_CATALOGS.has(type));
      return { items: readable.map(({ name }) => [name]), ...(next && { nextToken: next }) };
    }
    const list = (size: number, next?: string) => api.schemas(catalog, size, next);
    const { items, next } = await readPage(list, (name) => name, NAMESPACES_PER_PAGE, token).catch((error) => {
      throw this.#options.catalog === undefined ? error : unknownCatalog(catalog, error);
    });
    const names = items.filter((name) => name !== INFORMATION_SCHEMA);
    return { items: names.map((name) => [...parent, name]), ...(next && { nextToken: next }) };
  }

  async listTables(namespace: NamespacePath, { size, token }: PageRequest): Promise<Page<TableEntry>> {
    const at = this.#schema(namespace);
    if (at === undefined) return { items: [] };
    const { api } = this.#options;
    const list = (count: number, next?: string) => api.tables(at.catalog, at.schema, count, next);
    const page = await readPage(list, ({ name }) => name, TABLES_PER_PAGE, token);
    const items: TableEntry[] = [];
    let otherKinds = 0;
    for (const info of page.items) {
      // The rest of the page is cut off, with the objects of other kinds that follow the last table.
      if (items.length === size) {
        return { items, otherKinds, nextToken: page.positionAfter(items.at(-1)?.name as string) };
      }
      const name = { ...at, table: info.name };
      if (!isDelta(info)) {
        if (!isView(info)) otherKinds += 1;
        // It may have been a table when it was last listed.
        this.#listed.take(name);
        continue;
      }
      this.#listed.keep(name, info);
      items.push({ namespace, name: info.name, format: 'DELTA' });
    }
    return { items, otherKinds, ...(page.next && { nextToken: page.next }) };
  }

  async fingerprint(table: TableRef, known?: string): Promise<string> {
    const name = this.#name(table);
    const listed = this.#listed.get(name);
    if (listed === undefined) return this.#fingerprint(name, await this.#request(name), known);
    try {
      return await this.#fingerprint(name, listed, known);
    } catch (error) {
      if (!mayHaveChanged(error)) throw error;
      return this.#fingerprint(name, await this.#request(name), known);
    }
  }

  async #fingerprint(name: UnityName, info: TableInfo, known: string | undefined): Promise<string> {
    const before = parseFingerprint(known);
    const found = await this.#state(name, info);
    if (found.log === undefined) {
      const store = new LogStore(this.#storeOf(name, found));
      const { location } = found;
      const log = await deltaFingerprint({ store, location, known: before.log }).catch(logMissing(name));
      return fingerprintOf(found.id, log);
    }
    const { latestVersion } = found.log;
    const isUnchanged = before.id === found.id && fingerprintVersion(before.log) === latestVersion;
    if (isUnchanged && known !== undefined) return known;
    this.#changed.keep(name, found);
    return fingerprintOf(found.id, String(latestVersion));
  }

  async openTable(table: TableRef, known?: () => Promise<KnownTable | undefined>): Promise<TableReader> {
    const name = this.#name(table);
    const listed = this.#listed.take(name);
    const found = this.#changed.take(name) ?? (listed && (await this.#state(name, listed)));
    if (found === undefined) return this.#open(table, await this.#state(name, await this.#request(name)), known);
    try {
      return await this.#open(table, found, known);
    } catch (error) {
      if (!mayHaveChanged(error)) throw error;
      const now = await this.#state(name, await this.#request(name));
      if (JSON.stringify(now) === JSON.stringify(found)) throw error;
      return this.#open(table, now, known);
    }
  }

  async listViews(namespace: NamespacePath, { size, token }: PageRequest): Promise<Page<ViewRef>> {
    const at = this.#schema(namespace);
    if (at === undefined) return { items: [] };
    const { api } = this.#options;
    const list = async (count: number, next?: string) => {
      const page = await api.tables(at.catalog, at.schema, count, next);
      // Columns are requested only if there are views: those of tables make up most of a page.
      return page.items.some(isView) ? api.views(at.catalog, at.schema, count, next) : page;
    };
    const page = await readPage<TableInfo | (TableInfo & ViewInfo)>(list, ({ name }) => name, TABLES_PER_PAGE, token);
    const items: ViewRef[] = [];
    for (const info of page.items) {
      if (!isView(info)) continue;
      if (items.length === size) return { items, nextToken: page.positionAfter(items.at(-1)?.name as string) };
      items.push({ namespace, name: info.name });
      if ('definition' in info && lengthOf(info) <= MAX_KNOWN_VIEW_LENGTH) {
        this.#views.keep({ ...at, table: info.name }, info);
      }
    }
    return { items, ...(page.next && { nextToken: page.next }) };
  }

  async describeView({ namespace, name: table }: ViewRef): Promise<ViewDescriptor> {
    const name = this.#name({ namespace, name: table });
    return viewDescriptor(name, this.#views.take(name) ?? (await this.#requestView(name)));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#options.close();
  }

  /** The schema of a namespace; undefined for a namespace above schemas, which has no tables. */
  #schema(namespace: NamespacePath): Omit<UnityName, 'table'> | undefined {
    const { catalog: own } = this.#options;
    const [catalog, schema, ...below] = own === undefined ? namespace : [own, ...namespace];
    if (below.length > 0) {
      throw new CodedError(
        'NOT_FOUND',
        `there is no namespace ${namespace.join('.')}: in Unity Catalog, catalogs contain schemas, and these contain tables` +
          (own === undefined ? '' : `. The connector's property catalog is ${own}, so that its namespaces are schemas`),
      );
    }
    return catalog === undefined || schema === undefined ? undefined : { catalog, schema };
  }

  #name({ namespace, name }: TableRef): UnityName {
    const at = this.#schema(namespace);
    if (at !== undefined) return { ...at, table: name };
    throw new CodedError(
      'NOT_FOUND',
      `there is no table ${tableText({ namespace, name })}: every table is in a schema`,
    );
  }

  async #request(name: UnityName): Promise<TableInfo> {
    const info = await this.#options.api.table(name);
    if (isDelta(info)) return info;
    if (info.browseOnly) {
      throw new CodedError(
        'PERMISSION_DENIED',
        `table ${nameText(name)} may only be browsed: grant SELECT on it, and USE on its schema and catalog`,
      );
    }
    throw new CodedError(
      'NOT_FOUND',
      `there is no Delta table ${nameText(name)}: the object of this name has the type ${info.type} and the format ${info.format || 'none'}`,
    );
  }

  async #requestView(name: UnityName): Promise<TableInfo & ViewInfo> {
    const info = await this.#options.api.table(name);
    if (isView(info)) return info;
    throw new CodedError('NOT_FOUND', `there is no view ${nameText(name)}: the object of this name is a ${info.type}`);
  }

  async #state(name: UnityName, info: TableInfo): Promise<ManagedTable> {
    const { api, endpoints } = this.#options;
    const { id, type, location } = info;
    if (location === undefined) {
      throw new CodedError(
        'FAILED_PRECONDITION',
        `Unity Catalog returned no storage_location of table ${nameText(name)}, so its log cannot be found`,
      );
    }
    const table = { id, location };
    const found = type.startsWith('MANAGED') ? await loadManaged(api, endpoints, name, table) : table;
    return { ...found, location: await existingLocation(found.location) };
  }

  #storeOf(name: UnityName, { id, location }: Pick<ManagedTable, 'id' | 'location'>): ObjectStore {
    const kept = this.#stores.get(name);
    if (kept?.id === id && kept.location === location) return kept.store;
    const store = unityStorage(this.#options, name, { id, location });
    this.#stores.keep(name, { id, location, store });
    return store;
  }

  async #open(
    table: TableRef,
    { id, location, log }: ManagedTable,
    known: (() => Promise<KnownTable | undefined>) | undefined,
  ): Promise<TableReader> {
    const name = this.#name(table);
    const have = await known?.();
    // Another table that had the name has other schemas.
    const same = have?.uuid === id ? have : undefined;
    const reader = await openDeltaTable({
      store: this.#storeOf(name, { id, location }),
      location,
      tableName: tableText(table),
      remembered: rememberedStates,
      ...(same && { known: { ...same, fingerprint: parseFingerprint(same.fingerprint).log ?? '' } }),
      ...(log && { commits: log }),
    }).catch(logMissing(name));
    const { descriptor } = reader;
    Object.assign(descriptor, { uuid: id, fingerprint: fingerprintOf(id, descriptor.fingerprint) });
    return reader;
  }
}

/** Whether the table may have been dropped or replaced since it was listed, or its commits published and their staged files deleted. */
function mayHaveChanged(error: unknown): boolean {
  return error instanceof CodedError && /^(DATA_LOSS|PERMISSION_DENIED)$/.test(error.code);
}

const lengthOf = ({ definition = '', columns }: ViewInfo) =>
  columns.reduce((sum, { typeJson = '' }) => sum + typeJson.length, definition.length);

/** The catalog has the table: without its log, it is broken and not gone. */
function logMissing(name: UnityName): (error: unknown) => never {
  return (error) => {
    if (!(error instanceof CodedError) || error.code !== 'NOT_FOUND') throw error;
    throw new CodedError(
      'DATA_LOSS',
      `Unity Catalog has the table ${nameText(name)}, but its log is missing: ${error.message}. Restore it, or drop the table.`,
      { cause: error },
    );
  };
}

function unknownCatalog(catalog: string, error: unknown): unknown {
  if (!(error instanceof ResponseError) || error.status !== 404) return error;
  return new CodedError(
    'NOT_FOUND',
    `there is no catalog ${catalog}: ${error.message} Check the connector's property catalog.`,
    { cause: error },
  );
}
