import type { Table } from '@aws-sdk/client-glue';
import type { NamespacePath, TableRef } from '../../contract/upstream-names.ts';
import { CodedError } from '../../errors.ts';
import { openIcebergTable } from '../../formats/iceberg/table-reader.ts';
import type { TableReader } from '../../formats/table-reader.ts';
import { awsCredentials, credentialsName } from '../../storage/aws/credentials.ts';
import { awsRegion, DEFAULT_REGION } from '../../storage/aws/region.ts';
import { awsRequestHandler } from '../../storage/aws/request-handler.ts';
import { propertiesWithSecret } from '../../storage/aws/secret-keys.ts';
import { allowedLocations, confined } from '../../storage/confined-store.ts';
import type { ObjectStore } from '../../storage/object-store.ts';
import { openStore } from '../../storage/open-store.ts';
import { RecentlyUsed } from '../../storage/recently-used.ts';
import { newUsage, type Usage } from '../../storage/usage.ts';
import type { ResolvedSpec, WorkerLimits } from '../connector-spec.ts';
import type { Page, PageRequest, TableEntry, UpstreamCatalog } from '../spi.ts';
import { isThisMachine } from '../this-machine.ts';
import { glueAddress } from './glue-address.ts';
import { GLUE_PAGE, GlueCatalog } from './glue-client.ts';
import { type GluePage, placeToken, readPage } from './glue-pages.ts';
import { isIceberg, metadataLocation, ownFolders, requireMetadataLocation } from './glue-table.ts';

/** Tables whose state the catalog gave and nobody opened yet, and how long they are opened from it. */
const MAX_KNOWN = 5_000;
const KNOWN_MS = 5 * 60_000;
/** For one attempt, its answer's body too. */
const ATTEMPT_MS = 15_000;

/**
 * Opens the Iceberg tables of an AWS Glue catalog. Nothing is asked of it yet.
 *
 * @throws CodedError `INVALID_ARGUMENT` for a URI, an option or a secret that is not right
 */
export async function openGlueCatalog(
  spec: ResolvedSpec,
  { localRoots, gate }: WorkerLimits,
): Promise<UpstreamCatalog> {
  const told = propertiesWithSecret(spec);
  const address = glueAddress(spec.uri, told);
  // The tables' buckets are most likely in the catalog's region.
  const properties = address.region && !told['client.region'] ? { ...told, 'client.region': address.region } : told;
  // The SDK looks for these itself; here they are for messages.
  const endpoint = address.endpoint ?? process.env.AWS_ENDPOINT_URL_GLUE ?? process.env.AWS_ENDPOINT_URL;
  const region = await awsRegion(properties, 'glue').catch((error) => {
    if (endpoint === undefined) throw error;
    return DEFAULT_REGION;
  });
  const usage = newUsage({ gate });
  const catalog = new GlueCatalog({
    client: {
      region,
      ...(address.endpoint && { endpoint: address.endpoint }),
      credentials: awsCredentials(properties, 'glue'),
      requestHandler: awsRequestHandler({ attemptMs: ATTEMPT_MS }),
    },
    catalogId: properties['glue.id'] || undefined,
    where: endpoint ?? `AWS Glue in ${region}`,
    credentials: credentialsName(properties, 'glue'),
    usage,
  });
  const store = openStore({ properties, localRoots: localRoots ?? (isThisMachine(endpoint) ? undefined : []), usage });
  return new GlueConnector({ catalog, store, usage, allowed: allowedLocations(properties) });
}

/**
 * The databases of a Glue catalog and their Iceberg tables. Databases are one level and hold no further namespaces. Hive and Delta
 * tables and views are passed over; resource links are followed where Glue follows them itself.
 *
 * Pages are Glue's: one of 100 Glue tables costs one call and gives those of them that are Iceberg tables, each with its
 * fingerprint, which is the location of its metadata. With that a table is opened soon after, and Glue is not asked for it again.
 */
export class GlueConnector implements UpstreamCatalog {
  readonly usage: Usage;
  readonly #catalog: GlueCatalog;
  readonly #store: ObjectStore;
  readonly #allowed: readonly string[];
  /** Listings hold more than Iceberg tables: a full page of them is then asked for, however few are wanted still. */
  #mixed = false;
  /** Databases that a listing gave. */
  readonly #listed = new Set<string>();
  /** By `keyOf`. Each is used once: whoever tries again asks for the state of then. */
  readonly #known = new RecentlyUsed<string, KnownTable>(MAX_KNOWN);

  constructor(parts: { catalog: GlueCatalog; store: ObjectStore; usage: Usage; allowed: readonly string[] }) {
    this.#catalog = parts.catalog;
    this.#store = parts.store;
    this.usage = parts.usage;
    this.#allowed = parts.allowed;
  }

  async listNamespaces(parent: NamespacePath, { token }: PageRequest): Promise<Page<NamespacePath>> {
    if (parent.length > 0) return { items: [] };
    const nameOf = ({ Name = '' }) => Name;
    const { items, nextToken, last } = await readPage((next) => this.#catalog.databases(next), nameOf, token);
    const names = items.map(nameOf);
    for (const name of names) this.#listed.add(name);
    return { items: names.map((name) => [name]), ...(nextToken && { nextToken: placeToken(nextToken, last) }) };
  }

  async listTables(namespace: NamespacePath, { size, token }: PageRequest): Promise<Page<TableEntry>> {
    if (namespace.length === 0) return { items: [] };
    const database = databaseOf(namespace);
    // What is left of a page that was cut is found in the same page only if that is asked for as a whole.
    const wanted = this.#mixed || token !== undefined ? GLUE_PAGE : size;
    const page = await readPage((next) => this.#tables(database, wanted, next), nameOf, token);
    const items: TableEntry[] = [];
    for (const table of page.items) {
      if (!isIceberg(table)) {
        this.#mixed = true;
        continue;
      }
      if (items.length === size) return { items, nextToken: placeToken(page.at, items.at(-1)?.name ?? '') };
      const entry = { namespace, name: nameOf(table) };
      const fingerprint = metadataLocation(table);
      if (fingerprint) this.#keep(entry, { location: fingerprint, folders: ownFolders(table, fingerprint) });
      items.push({ ...entry, format: 'ICEBERG', ...(fingerprint && { fingerprint }) });
    }
    return { items, ...(page.nextToken && { nextToken: placeToken(page.nextToken, page.last) }) };
  }

  async fingerprint(table: TableRef): Promise<string> {
    const state = await this.#ask(table);
    this.#keep(table, state);
    return state.location;
  }

  async openTable(table: TableRef): Promise<TableReader> {
    const known = this.#take(table);
    if (known === undefined) return this.#open(await this.#ask(table));
    try {
      return await this.#open(known);
    } catch (error) {
      // It may have been changed since, and the metadata file of then removed. S3 may say of that one that it is denied.
      if (!(error instanceof CodedError) || !/^(DATA_LOSS|PERMISSION_DENIED)$/.test(error.code)) throw error;
      return this.#open(await this.#ask(table));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#catalog.close();
  }

  /**
   * A database that was listed and is not there has been dropped meanwhile, or is a resource link to one that was: it has no tables, and
   * does not keep the others from being read.
   */
  async #tables(database: string, size: number, token?: string): Promise<GluePage<Table>> {
    return this.#catalog.tables(database, size, token).catch((error) => {
      if (!(error instanceof CodedError) || error.code !== 'NOT_FOUND' || !this.#listed.has(database)) throw error;
      return { items: [] };
    });
  }

  async #ask(table: TableRef): Promise<TableState> {
    const found = await this.#catalog.table(databaseOf(table.namespace), table.name);
    const location = requireMetadataLocation(found, nameText(table));
    return { location, folders: ownFolders(found, location) };
  }

  #open({ location, folders }: TableState): Promise<TableReader> {
    return openIcebergTable({
      store: confined(this.#store, [...folders, ...this.#allowed]),
      metadataLocation: location,
      fingerprint: location,
    });
  }

  #keep(table: TableRef, state: TableState): void {
    this.#known.set(keyOf(table), { ...state, until: Date.now() + KNOWN_MS });
  }

  #take(table: TableRef): TableState | undefined {
    const known = this.#known.get(keyOf(table));
    this.#known.delete(keyOf(table));
    return known !== undefined && Date.now() < known.until ? known : undefined;
  }
}

/** A table's state, as the catalog gave it. */
interface TableState {
  /** Of its metadata file. */
  location: string;
  /** See `ownFolders`. */
  folders: string[];
}

interface KnownTable extends TableState {
  until: number;
}

const keyOf = ({ namespace, name }: TableRef) => JSON.stringify([namespace, name]);
const nameOf = ({ Name = '' }: Table) => Name;
const nameText = ({ namespace, name }: TableRef) => [...namespace, name].join('.');

function databaseOf(namespace: NamespacePath): string {
  const [database, ...below] = namespace;
  if (database !== undefined && below.length === 0) return database;
  throw new CodedError(
    'NOT_FOUND',
    `there is no namespace ${JSON.stringify(namespace.join('.'))}: a Glue catalog has databases, one level of them, and no tables beside`,
  );
}
