import type { Table } from '@aws-sdk/client-glue';
import { CodedError } from '../../errors.ts';
import { awsCredentials, credentialsName } from '../../storage/aws/credentials.ts';
import { awsRegion, DEFAULT_REGION } from '../../storage/aws/region.ts';
import { awsRequestHandler } from '../../storage/aws/request-handler.ts';
import { propertiesWithSecret } from '../../storage/aws/secret-keys.ts';
import { allowedLocations, confined } from '../../storage/confined-store.ts';
import type { ObjectStore } from '../../storage/object-store.ts';
import { openStore } from '../../storage/open-store.ts';
import type { Usage } from '../../storage/usage.ts';
import type { ResolvedSpec, WorkerLimits } from '../connector-spec.ts';
import { openIcebergTable } from '../iceberg/table-reader.ts';
import type { Connector, NamespacePath, Page, PageRequest, TableEntry, TableReader, TableRef } from '../spi.ts';
import { isThisMachine } from '../this-machine.ts';
import { glueAddress } from './glue-address.ts';
import { GLUE_PAGE, GlueCatalog } from './glue-client.ts';
import { type GluePage, placeToken, readPage } from './glue-pages.ts';
import { isIceberg, metadataLocation, ownFolders, requireMetadataLocation } from './glue-table.ts';

/** For one attempt, its answer's body too. */
const ATTEMPT_MS = 15_000;

/**
 * Opens the Iceberg tables of an AWS Glue catalog. Nothing is asked of it yet.
 *
 * @throws CodedError `INVALID_ARGUMENT` for a URI, an option or a secret that is not right
 */
export async function openGlueCatalog(spec: ResolvedSpec, { localRoots }: WorkerLimits): Promise<Connector> {
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
  const usage: Usage = { requests: 0, bytes: 0 };
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
 * fingerprint, which is the location of its metadata.
 */
export class GlueConnector implements Connector {
  readonly format = 'ICEBERG';
  readonly usage: Usage;
  readonly #catalog: GlueCatalog;
  readonly #store: ObjectStore;
  readonly #allowed: readonly string[];
  /** Listings hold more than Iceberg tables: a full page of them is then asked for, however few are wanted still. */
  #mixed = false;
  /** Databases that a listing gave. */
  readonly #listed = new Set<string>();

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
      const fingerprint = metadataLocation(table);
      items.push({ namespace, name: nameOf(table), ...(fingerprint && { fingerprint }) });
    }
    return { items, ...(page.nextToken && { nextToken: placeToken(page.nextToken, page.last) }) };
  }

  async fingerprint(table: TableRef): Promise<string> {
    return requireMetadataLocation(await this.#table(table), nameText(table));
  }

  async openTable(table: TableRef): Promise<TableReader> {
    const found = await this.#table(table);
    const location = requireMetadataLocation(found, nameText(table));
    return openIcebergTable({
      store: confined(this.#store, [...ownFolders(found, location), ...this.#allowed]),
      metadataLocation: location,
      fingerprint: location,
    });
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

  #table({ namespace, name }: TableRef): Promise<Table> {
    return this.#catalog.table(databaseOf(namespace), name);
  }
}

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
