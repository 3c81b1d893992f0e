import type { NamespacePath, TableRef } from '../../contract/upstream-names.ts';
import { CodedError } from '../../errors.ts';
import { MAX_METADATA_BYTES } from '../../formats/iceberg/table-metadata.ts';
import { openIcebergTable } from '../../formats/iceberg/table-reader.ts';
import { JsonFields } from '../../formats/json/json-fields.ts';
import type { TableReader } from '../../formats/table-reader.ts';
import { rememberOwnSecret } from '../../secrets.ts';
import { newUsage, type Usage } from '../../storage/usage.ts';
import type { ResolvedSpec, WorkerLimits } from '../connector-spec.ts';
import type { Page, PageRequest, TableEntry, UpstreamCatalog, ViewDescriptor, ViewRef } from '../spi.ts';
import { isThisMachine } from '../this-machine.ts';
import { AnswerError } from './answer-error.ts';
import { authenticatorOf, ownProperties } from './auth/auth-scheme.ts';
import { ANONYMOUS } from './auth/authenticator.ts';
import {
  type CatalogConfig,
  LIST_NAMESPACES,
  LIST_TABLES,
  LIST_VIEWS,
  LOAD_CREDENTIALS,
  LOAD_TABLE,
  LOAD_VIEW,
  loadConfig,
} from './catalog-config.ts';
import { catalogBase, sameOrigin } from './catalog-uri.ts';
import { fingerprintOf, parseFingerprint } from './fingerprint.ts';
import { HttpClient, type JsonAnswer } from './http-client.ts';
import { HttpExchange } from './http-exchange.ts';
import { Listing } from './listing.ts';
import { type LoadedTable, loadedCredentials, loadedTable, tableState, type VendedForPrefix } from './loaded-table.ts';
import { loadedView } from './loaded-view.ts';
import { DELEGATION, requestHeaders } from './request-headers.ts';
import { divided, tableStorage } from './table-storage.ts';
import { timeoutsOf } from './timeouts.ts';

const MAX_CREDENTIALS_BYTES = 4 * 1024 * 1024;
const MAX_VIEW_BYTES = 64 * 1024 * 1024;

/**
 * Opens an Iceberg REST catalog (the OpenAPI of apache/iceberg): asks it for its config, and for a token first where that is needed.
 *
 * @throws CodedError that tells which of the address, the credentials and the warehouse is wrong
 */
export async function openRestCatalog(spec: ResolvedSpec, limits: WorkerLimits): Promise<UpstreamCatalog> {
  const base = catalogBase(spec.uri);
  const usage = newUsage(limits);
  const exchange = new HttpExchange(usage);
  try {
    const own = ownProperties(spec);
    const timeouts = timeoutsOf(own);
    const { delegation, ...headers } = requestHeaders(spec);
    if (spec.auth.secret) rememberOwnSecret(spec.auth.secret);
    const authenticator = await authenticatorOf(spec, own, {
      base,
      tokenClient: (own) =>
        new HttpClient({ exchange, headers: own ? headers.all : {}, authenticator: ANONYMOUS, ...timeouts }),
    });
    const client = new HttpClient({ exchange, headers: headers.all, authenticator, ...timeouts });
    const config = await loadConfig(client, base, own);
    const localRoots = limits.localRoots ?? (isThisMachine(base) ? undefined : []);
    return new RestConnector({ client, config, exchange, usage, own, delegation, localRoots });
  } catch (error) {
    exchange.close();
    throw error;
  }
}

interface RestOptions {
  client: HttpClient;
  config: CatalogConfig;
  exchange: HttpExchange;
  usage: Usage;
  own: Readonly<Record<string, string>>;
  /** What is asked of the catalog to get at the tables' storage; empty to ask for nothing. */
  delegation: string;
  localRoots?: readonly string[];
}

class RestConnector implements UpstreamCatalog {
  readonly usage: Readonly<Usage>;
  readonly listViews?: UpstreamCatalog['listViews'];
  readonly describeView?: UpstreamCatalog['describeView'];
  readonly #options: RestOptions;
  readonly #namespaces: Listing;
  readonly #tables: Listing;
  readonly #views: Listing;

  constructor(options: RestOptions) {
    const { client, config, usage } = options;
    this.#options = options;
    this.usage = usage;
    this.#namespaces = new Listing(client);
    this.#tables = new Listing(client);
    this.#views = new Listing(client);
    if (config.has(LIST_VIEWS) && config.has(LOAD_VIEW)) {
      this.listViews = (namespace, page) => this.#listViews(namespace, page);
      this.describeView = (view) => this.#describeView(view);
    }
  }

  async listNamespaces(parent: NamespacePath, page: PageRequest): Promise<Page<NamespacePath>> {
    const { base, paths } = this.#needs(LIST_NAMESPACES, 'list namespaces');
    const url = (query: string) => base + paths.namespaces(parent, query);
    // Catalogs that do not nest, or list all levels at once, answer with others than the children.
    const child = (item: unknown) => {
      const path = new JsonFields({ item }).strings('item');
      return path.length === parent.length + 1 && parent.every((level, i) => path[i] === level) ? path : undefined;
    };
    try {
      return await this.#namespaces.page(url, 'namespaces', child, page);
    } catch (error) {
      const flat = error instanceof AnswerError && (error.status === 406 || error.status === 501);
      if (flat && parent.length > 0) return { items: [] };
      throw error;
    }
  }

  async listTables(namespace: NamespacePath, page: PageRequest): Promise<Page<TableEntry>> {
    const { base, paths } = this.#needs(LIST_TABLES, 'list tables');
    const names = await this.#listNames(
      this.#tables,
      (query) => base + paths.tables(namespace, query),
      namespace,
      page,
    );
    // This API serves no other tables.
    return { ...names, items: names.items.map((table) => ({ ...table, format: 'ICEBERG' })) };
  }

  /**
   * With the ETag of the answer that the table was opened from, one request that is answered 304 while the table is the same. It has to be
   * the same question, for ETags of other ones differ (Iceberg's own server: one for each value of `snapshots`).
   */
  async fingerprint(table: TableRef, known?: string): Promise<string> {
    const before = known === undefined ? undefined : parseFingerprint(known);
    const condition: Record<string, string> = before?.etag === undefined ? {} : { 'if-none-match': before.etag };
    // Where there are no ETags, the shorter answer does. Without anything known there may be one.
    const snapshots = before !== undefined && before.etag === undefined ? 'refs' : 'all';
    const { url, answer } = await this.#load(table, snapshots, condition);
    if (answer.status === 304 && known !== undefined) return known;
    const now = tableState(url, answer);
    // A catalog may give another ETag for the same state, or none any more.
    if (known !== undefined && now.metadata === before?.metadata) return known;
    return fingerprintOf(snapshots === 'all' ? now : { metadata: now.metadata });
  }

  async openTable(table: TableRef): Promise<TableReader> {
    const { config, own, localRoots, usage, delegation } = this.#options;
    const { url, answer } = await this.#load(table, 'all', this.#delegation());
    const loaded = loadedTable(url, answer);
    const store = tableStorage(loaded, {
      defaults: config.defaults,
      overrides: config.overrides,
      own,
      localRoots,
      usage,
      loadCredentials: () => this.#credentials(table, loaded),
      ask:
        delegation !== '' &&
        config.has(LOAD_CREDENTIALS) &&
        /^s3[an]?:/i.test(loaded.location) &&
        !own['s3.access-key-id'],
    });
    return openIcebergTable({
      store,
      metadataLocation: loaded.metadataLocation ?? url,
      fingerprint: fingerprintOf(loaded.state),
      metadata: { json: loaded.metadata, bytes: loaded.bytes },
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#options.exchange.close();
  }

  async #listViews(namespace: NamespacePath, page: PageRequest): Promise<Page<ViewRef>> {
    const { base, paths } = this.#options.config;
    return this.#listNames(this.#views, (query) => base + paths.views(namespace, query), namespace, page);
  }

  async #describeView({ namespace, name }: ViewRef): Promise<ViewDescriptor> {
    const { client, config } = this.#options;
    const url = config.base + config.paths.view(namespace, name);
    const { json } = await client.json({ url, maxBytes: MAX_VIEW_BYTES });
    return loadedView(url, json);
  }

  /** Tables or views of one namespace. The root has none. */
  async #listNames(
    listing: Listing,
    url: (query: string) => string,
    namespace: NamespacePath,
    page: PageRequest,
  ): Promise<Page<TableRef>> {
    if (namespace.length === 0) return { items: [] };
    const identifier = (item: unknown) => {
      const fields = new JsonFields(item, 'identifier');
      // Those of levels below are listed there.
      const levels = fields.has('namespace') ? fields.strings('namespace').length : namespace.length;
      return levels === namespace.length ? [fields.string('name')] : undefined;
    };
    const { items, ...next } = await listing.page(url, 'identifiers', identifier, page);
    return { items: items.map(([name]) => ({ namespace, name: name as string })), ...next };
  }

  async #load(
    { namespace, name }: TableRef,
    snapshots: 'all' | 'refs',
    headers: Readonly<Record<string, string>>,
  ): Promise<{ url: string; answer: JsonAnswer }> {
    const { base, paths } = this.#needs(LOAD_TABLE, 'load a table');
    if (namespace.length === 0) {
      throw new CodedError('NOT_FOUND', `there is no table ${name}: in a REST catalog every table is in a namespace`);
    }
    const url = `${base}${paths.table(namespace, name)}?snapshots=${snapshots}`;
    try {
      return {
        url,
        answer: await this.#options.client.json({ url, headers, maxBytes: MAX_METADATA_BYTES, confidential: true }),
      };
    } catch (error) {
      throw metadataGone(error) ?? error;
    }
  }

  /** From the endpoint for credentials where there is one, else with the table. */
  async #credentials(table: TableRef, loaded: LoadedTable): Promise<VendedForPrefix[]> {
    const { client, config } = this.#options;
    const endpoint = loaded.config['client.refresh-credentials-endpoint'];
    const said = endpoint === undefined ? undefined : absolute(endpoint, config.base);
    const url =
      said ??
      (config.has(LOAD_CREDENTIALS) ? config.base + config.paths.credentials(table.namespace, table.name) : undefined);
    if (url !== undefined) {
      const answer = await client.json({
        url,
        headers: this.#delegation(),
        maxBytes: MAX_CREDENTIALS_BYTES,
        confidential: true,
      });
      return loadedCredentials(url, answer);
    }
    const { url: tableUrl, answer } = await this.#load(table, 'refs', this.#delegation());
    const again = loadedTable(tableUrl, answer);
    return again.credentials.length > 0 ? again.credentials : divided(again.config)[1];
  }

  #delegation(): Record<string, string> {
    const { delegation } = this.#options;
    return delegation === '' ? {} : { [DELEGATION]: delegation };
  }

  #needs(endpoint: string, what: string): CatalogConfig {
    const { config } = this.#options;
    if (config.has(endpoint)) return config;
    throw new CodedError(
      'UNIMPLEMENTED',
      `the catalog at ${config.base} cannot ${what}: its config does not list ${endpoint}`,
    );
  }
}

/** Iceberg's server answers 404 for a table that it has, and whose metadata file is gone: not as for one that it does not have. */
function metadataGone(error: unknown): CodedError | undefined {
  if (!(error instanceof AnswerError) || error.status !== 404 || error.said?.type !== 'NotFoundException')
    return undefined;
  if (!/\.metadata\.json|does not exist: [a-z0-9]+:\//i.test(error.said.message)) return undefined;
  const advice =
    'The catalog has the table, and not its metadata file: restore it, or roll the table back to one that is there.';
  return new CodedError('DATA_LOSS', `${error.message} ${advice}`, { cause: error });
}

/** On the catalog's own host only: the request carries its credentials. */
function absolute(endpoint: string, base: string): string | undefined {
  const url = /^https?:/i.test(endpoint) ? endpoint : `${base}/${endpoint.replace(/^\/+/, '')}`;
  return sameOrigin(url, base) ? url : undefined;
}
