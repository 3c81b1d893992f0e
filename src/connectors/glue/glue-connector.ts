import type { Table } from '@aws-sdk/client-glue';
import type { NamespacePath, TableRef } from '../../contract/upstream-names.ts';
import { CodedError } from '../../errors.ts';
import type { KnownTable, TableFormat, TableReader } from '../../formats/table-reader.ts';
import { isThisMachine } from '../../policy/this-machine.ts';
import { credentialsName } from '../../storage/aws/credentials.ts';
import { awsRegion, DEFAULT_REGION } from '../../storage/aws/region.ts';
import { awsRequestHandler } from '../../storage/aws/request-handler.ts';
import { propertiesWithSecret } from '../../storage/aws/secret-keys.ts';
import { allowedLocations } from '../../storage/confined-store.ts';
import { LruCache } from '../../storage/lru-cache.ts';
import { openStore } from '../../storage/open-store.ts';
import { connectorProxy } from '../../storage/proxy/proxy.ts';
import { newUsage, type Usage } from '../../storage/usage.ts';
import { ConnectorSecrets } from '../connector-secrets.ts';
import type { ResolvedSpec, WorkerLimits } from '../connector-spec.ts';
import type { Page, PageRequest, TableEntry, UpstreamCatalog } from '../spi.ts';
import { glueAddress } from './glue-address.ts';
import { GlueCatalog, MAX_GLUE_PAGE } from './glue-client.ts';
import { formatOf, glueFormats } from './glue-formats.ts';
import { type GluePage, positionToken, readPage } from './glue-pages.ts';
import { type GlueState, GlueTables, requireState, stateOf } from './glue-state.ts';

/** How many table states are kept until the tables are opened, and for how long. */
const MAX_KNOWN = 5_000;
const KNOWN_TTL_MS = 5 * 60_000;
/** For one attempt, including the response's body. */
const ATTEMPT_TIMEOUT_MS = 15_000;

/**
 * Opens the Iceberg and Delta tables of an AWS Glue catalog. Sends no request yet.
 *
 * @param resolve reads the connector's secrets again
 * @throws CodedError `INVALID_ARGUMENT` for a wrong URI, property or secret
 */
export async function openGlueCatalog(
  spec: ResolvedSpec,
  { localRoots, gate }: WorkerLimits,
  resolve?: () => Promise<ResolvedSpec>,
): Promise<UpstreamCatalog> {
  const secrets = new ConnectorSecrets(spec, resolve);
  const address = glueAddress(spec.uri, propertiesWithSecret(spec));
  const propertiesOf = (spec: ResolvedSpec) => {
    const own = propertiesWithSecret(spec);
    // The tables' buckets are most likely in the catalog's region.
    return address.region && !own['client.region'] ? { ...own, 'client.region': address.region } : own;
  };
  const options = secrets.storeOptions(propertiesOf);
  const { properties } = options;
  // The SDK reads these variables itself; here they are needed for messages.
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
      credentials: secrets.awsCredentials('glue', propertiesOf),
      requestHandler: awsRequestHandler({ attemptMs: ATTEMPT_TIMEOUT_MS, proxy: connectorProxy(properties) }),
    },
    catalogId: properties['glue.id'] || undefined,
    where: endpoint ?? `AWS Glue in ${region}`,
    credentials: () => credentialsName(propertiesOf(secrets.current), 'glue'),
    usage,
  });
  const store = openStore({ ...options, localRoots: localRoots ?? (isThisMachine(endpoint) ? undefined : []), usage });
  const tables = new GlueTables(store, allowedLocations(properties));
  return new GlueConnector({ catalog, tables, usage, formats: glueFormats(properties) });
}

/**
 * The databases of a Glue catalog and their Iceberg and Delta tables. Databases have one level and contain no further namespaces. Hive tables,
 * symlink manifests and views are skipped; resource links are followed if Glue follows them itself.
 *
 * Pages are Glue's: a page of 100 Glue tables costs one call. An Iceberg table has its fingerprint in it, which is the location of its metadata;
 * that of a Delta table costs a listing of its log. A table that is opened soon after is opened from its location, without another call to Glue.
 */
export class GlueConnector implements UpstreamCatalog {
  readonly usage: Usage;
  readonly #catalog: GlueCatalog;
  readonly #tables: GlueTables;
  readonly #formats: ReadonlySet<TableFormat>;
  /** Whether listings contain other tables than those that are read. Then full pages are requested, however few tables are needed. */
  #mixed = false;
  /** The targets of databases that are resource links, by the links' names, as text. */
  readonly #links = new Map<string, string>();
  /** By `keyOf`. Each state is used once, because a retry must read the current state. */
  readonly #known = new LruCache<string, KnownState>(MAX_KNOWN);

  constructor(parts: { catalog: GlueCatalog; tables: GlueTables; usage: Usage; formats: ReadonlySet<TableFormat> }) {
    this.#catalog = parts.catalog;
    this.#tables = parts.tables;
    this.usage = parts.usage;
    this.#formats = parts.formats;
  }

  async listNamespaces(parent: NamespacePath, { token }: PageRequest): Promise<Page<NamespacePath>> {
    if (parent.length > 0) return { items: [] };
    const nameOf = ({ Name = '' }) => Name;
    const { items, nextToken, last } = await readPage((next) => this.#catalog.databases(next), nameOf, token);
    const names = items.map(nameOf);
    for (const { Name = '', TargetDatabase: target } of items) {
      if (target) this.#links.set(Name, `${target.DatabaseName} of catalog ${target.CatalogId}`);
    }
    return { items: names.map((name) => [name]), ...(nextToken && { nextToken: positionToken(nextToken, last) }) };
  }

  async listTables(namespace: NamespacePath, { size, token }: PageRequest): Promise<Page<TableEntry>> {
    if (namespace.length === 0) return { items: [] };
    const database = databaseOf(namespace);
    // The rest of a page that was cut can only be found if the same page is requested as a whole.
    const requestSize = this.#mixed || token !== undefined ? MAX_GLUE_PAGE : size;
    const page = await readPage((next) => this.#tablesOf(database, requestSize, next), nameOf, token);
    const items: TableEntry[] = [];
    let [otherKinds, sinceLast] = [0, 0];
    for (const table of page.items) {
      const format = formatOf(table);
      if (format === undefined || !this.#formats.has(format)) {
        this.#mixed = true;
        sinceLast += 1;
        continue;
      }
      // What follows the last item is listed once more.
      if (items.length === size) {
        return { items, otherKinds, nextToken: positionToken(page.at, items.at(-1)?.name ?? '') };
      }
      otherKinds += sinceLast;
      sinceLast = 0;
      const entry = { namespace, name: nameOf(table) };
      const state = stateOf(table);
      if (state) this.#keep(entry, state);
      items.push({ ...entry, format, ...(state?.format === 'ICEBERG' && { fingerprint: state.location }) });
    }
    const next = page.nextToken && { nextToken: positionToken(page.nextToken, page.last) };
    return { items, otherKinds: otherKinds + sinceLast, ...next };
  }

  async fingerprint(table: TableRef, known?: string): Promise<string> {
    const listed = this.#take(table);
    // A Delta table changes without its catalog.
    const state = listed?.format === 'DELTA' ? listed : await this.#fetchState(table);
    this.#keep(table, state);
    return this.#tables.fingerprint(state, nameText(table), known);
  }

  async openTable(table: TableRef, known?: () => Promise<KnownTable | undefined>): Promise<TableReader> {
    const open = (state: GlueState) => this.#tables.open(state, nameText(table), known);
    const listed = this.#take(table);
    if (listed === undefined) return open(await this.#fetchState(table));
    try {
      return await open(listed);
    } catch (error) {
      // The table may have changed since, and its old metadata file may have been deleted. S3 may deny access to a deleted file.
      if (!(error instanceof CodedError) || !/^(DATA_LOSS|PERMISSION_DENIED)$/.test(error.code)) throw error;
      return open(await this.#fetchState(table));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#catalog.close();
  }

  async #tablesOf(database: string, size: number, token?: string): Promise<GluePage<Table>> {
    return this.#catalog.tables(database, size, token).catch((error) => {
      const target = this.#links.get(database);
      if (!(error instanceof CodedError) || error.code !== 'NOT_FOUND' || target === undefined) throw error;
      throw new CodedError(
        error.code,
        `${error.message}. ${database} is a resource link to database ${target}, which was dropped or is no longer shared: restore it, delete the link, or exclude the namespace.`,
        { cause: error },
      );
    });
  }

  async #fetchState(table: TableRef): Promise<GlueState> {
    const found = await this.#catalog.table(databaseOf(table.namespace), table.name);
    return requireState(found, nameText(table));
  }

  #keep(table: TableRef, state: GlueState): void {
    this.#known.set(keyOf(table), { ...state, until: Date.now() + KNOWN_TTL_MS });
  }

  #take(table: TableRef): GlueState | undefined {
    const known = this.#known.get(keyOf(table));
    this.#known.delete(keyOf(table));
    return known !== undefined && Date.now() < known.until ? known : undefined;
  }
}

type KnownState = GlueState & { until: number };

const keyOf = ({ namespace, name }: TableRef) => JSON.stringify([namespace, name]);
const nameOf = ({ Name = '' }: Table) => Name;
const nameText = ({ namespace, name }: TableRef) => [...namespace, name].join('.');

function databaseOf(namespace: NamespacePath): string {
  const [database, ...below] = namespace;
  if (database !== undefined && below.length === 0) return database;
  throw new CodedError(
    'NOT_FOUND',
    `there is no namespace ${JSON.stringify(namespace.join('.'))}: a Glue catalog has one level of databases, which contain all its tables`,
  );
}
