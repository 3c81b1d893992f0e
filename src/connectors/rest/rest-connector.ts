import type { NamespacePath, TableRef } from '../../contract/upstream-names.ts';
import { CodedError } from '../../errors.ts';
import { MAX_METADATA_BYTES, metadataTooLarge } from '../../formats/iceberg/table-metadata.ts';
import { openIcebergTable } from '../../formats/iceberg/table-reader.ts';
import { JsonFields } from '../../formats/json/json-fields.ts';
import type { TableReader } from '../../formats/table-reader.ts';
import { isThisMachine } from '../../policy/this-machine.ts';
import { rememberConnectorSecret } from '../../secrets.ts';
import { hasIdentity, hasKeys } from '../../storage/cloud/identity.ts';
import { isInObjectStore } from '../../storage/location.ts';
import { connectorProxy } from '../../storage/proxy/proxy.ts';
import { TooLargeError } from '../../storage/too-large-error.ts';
import { newUsage, type Usage } from '../../storage/usage.ts';
import { ConnectorSecrets } from '../connector-secrets.ts';
import type { ResolvedSpec, WorkerLimits } from '../connector-spec.ts';
import { remembered } from '../remembered.ts';
import type { Page, PageRequest, TableEntry, UpstreamCatalog, ViewDescriptor, ViewRef } from '../spi.ts';
import { authenticatorOf, connectorProperties } from './auth/auth-scheme.ts';
import { ANONYMOUS } from './auth/authenticator.ts';
import { rereadAuthenticator } from './auth/reread-authenticator.ts';
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
import { delegationRefused, mayBeRefusedDelegation } from './delegation.ts';
import { fingerprintOf, parseFingerprint } from './fingerprint.ts';
import { HttpClient, type JsonResponse } from './http-client.ts';
import { HttpExchange } from './http-exchange.ts';
import { Listing } from './listing.ts';
import {
  type LoadedTable,
  loadedCredentials,
  loadedTable,
  type TableAccess,
  tableState,
  type VendedCredential,
} from './loaded-table.ts';
import { loadedView } from './loaded-view.ts';
import { DELEGATION, requestHeaders, withConfigHeaders } from './request-headers.ts';
import { ResponseError } from './response-error.ts';
import { splitVendedKeys, tableStorage } from './table-storage.ts';
import { timeoutsOf } from './timeouts.ts';

const MAX_CREDENTIALS_BYTES = 4 * 1024 * 1024;
const MAX_VIEW_BYTES = 64 * 1024 * 1024;

/**
 * Opens an Iceberg REST catalog (the OpenAPI of apache/iceberg): requests a token if one is needed, then the catalog's config.
 *
 * @param resolve reads the connector's secrets again
 * @throws CodedError that states which of the address, the credentials and the warehouse is wrong
 */
export async function openRestCatalog(
  spec: ResolvedSpec,
  limits: WorkerLimits,
  resolve?: () => Promise<ResolvedSpec>,
): Promise<UpstreamCatalog> {
  const base = catalogBase(spec.uri);
  const usage = newUsage(limits);
  const own = connectorProperties(spec);
  const exchange = new HttpExchange(usage, connectorProxy(own));
  try {
    const secrets = new ConnectorSecrets(spec, resolve);
    const timeouts = timeoutsOf(own);
    const { delegation } = requestHeaders(spec);
    const authenticator = await rereadAuthenticator(secrets, async (spec) => {
      if (spec.auth.secret) rememberConnectorSecret(spec.auth.secret);
      const ownHeaders = requestHeaders(spec).all;
      const tokenClient = (own: boolean) =>
        new HttpClient({ exchange, headers: () => (own ? ownHeaders : {}), authenticator: ANONYMOUS, ...timeouts });
      return authenticatorOf(spec, connectorProperties(spec), { base, secrets, tokenClient });
    });
    const clientWith = (headersOf: (spec: ResolvedSpec) => Record<string, string>) =>
      new HttpClient({ exchange, headers: () => headersOf(secrets.current), authenticator, ...timeouts });
    const config = await loadConfig(clientWith(remembered((spec) => requestHeaders(spec).all)), base, own);
    const mergedHeaders = remembered((spec: ResolvedSpec) => {
      const merged = { url: base, properties: config.merged(connectorProperties(spec)) };
      return withConfigHeaders(requestHeaders(spec).all, spec, merged, limits.warn);
    });
    // Before the first request, so that its secrets are known and the warning comes at once.
    mergedHeaders(secrets.current);
    const client = clientWith(mergedHeaders);
    const localRoots = limits.localRoots ?? (isThisMachine(base) ? undefined : []);
    return new RestConnector({ client, config, exchange, usage, secrets, delegation, localRoots });
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
  secrets: ConnectorSecrets;
  /** The access to the tables' storage that is requested from the catalog; empty for none. */
  delegation: string;
  localRoots?: readonly string[];
}

class RestConnector implements UpstreamCatalog {
  readonly usage: Readonly<Usage>;
  readonly listViews?: UpstreamCatalog['listViews'];
  readonly describeView?: UpstreamCatalog['describeView'];
  readonly #options: RestOptions;
  readonly #namespaces: Listing;
  /** Whether the catalog has listed the children of a namespace. */
  #nests = false;
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
    // Catalogs without nesting, and those that list all levels at once, return namespaces that are not children.
    const child = (item: unknown) => {
      const path = new JsonFields({ item }).strings('item');
      return path.length === parent.length + 1 && parent.every((level, i) => path[i] === level) ? path : undefined;
    };
    try {
      const children = await this.#namespaces.page(url, 'namespaces', child, page);
      if (parent.length > 0) this.#nests = true;
      return children;
    } catch (error) {
      if (parent.length > 0 && error instanceof ResponseError) {
        // A catalog whose namespaces have one level: the OpenAPI does not require them to nest. Others answer 400 to what is wrong.
        const refusesParent = error.status === 400 && parent.length === 1 && page.token === undefined && !this.#nests;
        if (refusesParent || error.status === 406 || error.status === 501) return { items: [] };
      }
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
   * Sends one loadTable request. With the ETag of the response from which the table was opened, an unchanged table returns 304. The request has
   * to be the same as before, because ETags depend on it (Iceberg's own server: on the value of `snapshots`).
   */
  async fingerprint(table: TableRef, known?: string): Promise<string> {
    const before = known === undefined ? undefined : parseFingerprint(known);
    const condition: Record<string, string> = before?.etag === undefined ? {} : { 'if-none-match': before.etag };
    // If the catalog returned no ETag before, the shorter response is enough. Without a known fingerprint, it may return one.
    const snapshots = before !== undefined && before.etag === undefined ? 'refs' : 'all';
    const { url, response } = await this.#load(table, snapshots, condition);
    using _ = response.memory;
    if (response.status === 304 && known !== undefined) return known;
    const now = tableState(url, response);
    // A catalog may return another ETag for the same state, or none.
    if (known !== undefined && now.metadata === before?.metadata) return known;
    return fingerprintOf(snapshots === 'all' ? now : { metadata: now.metadata });
  }

  async openTable(table: TableRef): Promise<TableReader> {
    const { config, secrets, localRoots, usage } = this.#options;
    const { url, loaded, isDelegated } = await this.#loadToRead(table);
    // Not kept by the storage, which lives as long as the reader.
    const { metadata: json, memory, ...kept } = loaded;
    const store = () =>
      tableStorage(kept, {
        defaults: config.defaults,
        overrides: config.overrides,
        secrets,
        localRoots,
        usage,
        loadCredentials: () => this.#credentials(table, kept),
        fetchCredentials:
          isDelegated &&
          config.has(LOAD_CREDENTIALS) &&
          isInObjectStore(kept.location) &&
          !hasKeys(withoutClientKeys(connectorProperties(secrets.current)), kept.location),
      });
    try {
      return await openIcebergTable({
        store: store(),
        metadataLocation: kept.metadataLocation ?? url,
        fingerprint: fingerprintOf(kept.state),
        metadata: { json, bytes: kept.bytes, memory },
      });
    } catch (error) {
      memory?.[Symbol.dispose]();
      throw error;
    }
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
    const { json, memory } = await client.json({ url, maxBytes: MAX_VIEW_BYTES });
    using _ = memory;
    return loadedView(url, json);
  }

  /** Lists the tables or views of one namespace. The root has none. */
  async #listNames(
    listing: Listing,
    url: (query: string) => string,
    namespace: NamespacePath,
    page: PageRequest,
  ): Promise<Page<TableRef>> {
    if (namespace.length === 0) return { items: [] };
    const identifier = (item: unknown) => {
      const fields = new JsonFields(item, 'identifier');
      // Entries of deeper levels are listed with their own namespace.
      const levels = fields.has('namespace') ? fields.strings('namespace').length : namespace.length;
      return levels === namespace.length ? [fields.string('name')] : undefined;
    };
    const { items, ...next } = await listing.page(url, 'identifiers', identifier, page);
    return { items: items.map(([name]) => ({ namespace, name: name as string })), ...next };
  }

  /**
   * Loads a table with delegated access to its storage. If the catalog refuses that for this table, it is asked again without: then the
   * connector's own keys serve, if it has any.
   */
  async #loadToRead(table: TableRef): Promise<{ url: string; loaded: LoadedTable; isDelegated: boolean }> {
    const { config, secrets, delegation } = this.#options;
    const load = async (headers: Readonly<Record<string, string>>) => {
      const { url, response } = await this.#load(table, 'all', headers, 'open');
      try {
        return { url, loaded: loadedTable(url, response) };
      } catch (error) {
        response.memory?.[Symbol.dispose]();
        throw error;
      }
    };
    if (delegation === '') return { ...(await load({})), isDelegated: false };
    try {
      return { ...(await load(this.#delegation())), isDelegated: true };
    } catch (error) {
      if (!mayBeRefusedDelegation(error)) throw error;
      const plain = await load({}).catch((plainError) => {
        // The first error has another cause, unless the catalog did not respond this time.
        throw plainError instanceof ResponseError && plainError.code !== 'UNAVAILABLE' ? error : plainError;
      });
      const { location, credentials, config: ofTable } = plain.loaded;
      const hasOwn = hasIdentity(connectorProperties(secrets.current), location);
      const fromCatalog = { ...config.defaults, ...config.overrides, ...ofTable };
      const isVended = credentials.length > 0 || hasKeys(fromCatalog, location);
      if (isInObjectStore(location) && !hasOwn && !isVended) {
        plain.loaded.memory?.[Symbol.dispose]();
        throw delegationRefused(error, delegation, location);
      }
      return { ...plain, isDelegated: false };
    }
  }

  async #load(
    { namespace, name }: TableRef,
    snapshots: 'all' | 'refs',
    headers: Readonly<Record<string, string>>,
    use: 'open' | 'look' = 'look',
  ): Promise<{ url: string; response: JsonResponse }> {
    const { base, paths } = this.#needs(LOAD_TABLE, 'load a table');
    if (namespace.length === 0) {
      throw new CodedError('NOT_FOUND', `there is no table ${name}: in a REST catalog every table is in a namespace`);
    }
    const url = `${base}${paths.table(namespace, name)}?snapshots=${snapshots}`;
    try {
      return {
        url,
        response: await this.#options.client.json({
          url,
          headers,
          maxBytes: MAX_METADATA_BYTES,
          confidential: true,
          use,
        }),
      };
    } catch (error) {
      if (error instanceof TooLargeError) throw metadataTooLarge(`in the response to GET ${url}`);
      throw metadataFileMissing(error) ?? error;
    }
  }

  /** Credentials from the credentials endpoint if the catalog has one, otherwise from loadTable. */
  async #credentials(table: TableRef, loaded: TableAccess): Promise<VendedCredential[]> {
    const { client, config, delegation } = this.#options;
    const keysInConfig = splitVendedKeys(loaded.config)[1];
    const hadCredentials = loaded.credentials.length + keysInConfig.length > 0;
    const endpoint = loaded.config['client.refresh-credentials-endpoint'];
    // Only the table itself has the keys that are in its config.
    const isWhole = loaded.credentials.length > 0 && keysInConfig.length > 0;
    const tableEndpoint = endpoint === undefined ? undefined : absolute(endpoint, config.base);
    const url =
      tableEndpoint ??
      (config.has(LOAD_CREDENTIALS) ? config.base + config.paths.credentials(table.namespace, table.name) : undefined);
    if (url !== undefined && !isWhole) {
      const response = await client
        .json({ url, headers: this.#delegation(), maxBytes: MAX_CREDENTIALS_BYTES, confidential: true })
        .catch((error) => {
          // 404, 406 and 501 mean that the catalog vends none, see `VendedCredentials`.
          const isRefused = mayBeRefusedDelegation(error) && ![406, 501].includes(error.status);
          throw isRefused && !hadCredentials ? delegationRefused(error, delegation, loaded.location) : error;
        });
      return loadedCredentials(url, response);
    }
    const { url: tableUrl, response } = await this.#load(table, 'refs', this.#delegation());
    using _ = response.memory;
    const reloaded = loadedTable(tableUrl, response);
    return [...reloaded.credentials, ...splitVendedKeys(reloaded.config)[1]];
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

/** Iceberg's server returns 404 also for an existing table whose metadata file is missing; this distinguishes it from a missing table. */
function metadataFileMissing(error: unknown): CodedError | undefined {
  if (!(error instanceof ResponseError) || error.status !== 404 || error.reported?.type !== 'NotFoundException')
    return undefined;
  if (!/\.metadata\.json|does not exist: [a-z0-9]+:\//i.test(error.reported.message)) return undefined;
  const advice =
    "The catalog has the table, but the table's metadata file is missing: restore it, or roll the table back to an existing one.";
  return new CodedError('DATA_LOSS', `${error.message} ${advice}`, { cause: error });
}

/** `client.*` may be the keys of the catalog's own signature. */
function withoutClientKeys(properties: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(properties).filter(([key]) => !key.startsWith('client.')));
}

/** The absolute URL of an endpoint; undefined on another host than the catalog's, to which its credentials must not be sent. */
function absolute(endpoint: string, base: string): string | undefined {
  const url = /^https?:/i.test(endpoint) ? endpoint : `${base}/${endpoint.replace(/^\/+/, '')}`;
  return sameOrigin(url, base) ? url : undefined;
}
