import { randomUUID } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import { type FakeServer, type ReceivedRequest, respondWithJson, startFakeServer } from '../rest/fake-server.ts';

/** A table, view or other object of a schema, with the fields of `TableInfo` (api/all.yaml of unitycatalog/unitycatalog). */
export interface UnityObject {
  name: string;
  table_id: string;
  table_type: string;
  data_source_format?: string;
  storage_location?: string;
  columns?: { name: string; type_text?: string; type_json?: string; comment?: string; nullable?: boolean }[];
  properties?: Record<string, string>;
  view_definition?: string;
  comment?: string;
  browse_only?: boolean;
}

/** A commit of a managed table that went through the catalog (`DeltaCommit` of api/delta.yaml). */
export interface UnityCommit {
  version: number;
  fileName: string;
  size: number;
  modifiedMs: number;
}

export interface UnityKeys {
  accessKeyId?: string;
  secretAccessKey?: string;
  sessionToken?: string;
  sas?: string;
  oauth?: string;
  /** Null like the keys if the location needs none. */
  expiresAtMs?: number;
}

export interface Answer {
  status?: number;
  json: unknown;
}

type Respond = (request: ReceivedRequest, response: ServerResponse) => boolean;

const API = '/api/2.1/unity-catalog';
/** Servers return no larger page, whatever is requested. */
const MAX_PAGE = 100;
const TABLE_PATH = 'GET /v1/catalogs/{catalog}/schemas/{schema}/tables/{table}';

/**
 * A Unity Catalog server after the published OpenAPI, with what was seen of the real one (0.6.0) and of Databricks: pages are cut before they are
 * filtered, a full page always has a token, and a wrong token returns an empty page.
 */
export class UnityServer implements AsyncDisposable {
  /** Objects by catalog and schema. */
  readonly catalogs = new Map<string, Map<string, UnityObject[]>>();
  readonly catalogTypes = new Map<string, string>();
  /** By table id. */
  readonly commits = new Map<string, { latestVersion: number; commits: UnityCommit[] }>();
  /** Answers a request before the server does, if it returns true. */
  intercept: Respond = () => false;
  /** The token that all requests must have; undefined for none. */
  token?: string;
  /** What a listing has in place of a next token at its end: nothing, null or ''. */
  end: undefined | null | '' = null;
  /** Each page of tables is preceded by an empty one with a token, as Databricks filters pages. */
  hasEmptyPages = false;
  /** Databricks leaves out a list that is empty. */
  leavesOutEmptyLists = false;
  hasDeltaApi = true;
  hasPreview = true;
  /** Commits per response of the preview. */
  previewPage = 50;
  /** The credentials for a table. */
  vend: (table: UnityObject) => UnityKeys = () => ({});
  #server?: FakeServer;

  static async start(port = 0): Promise<UnityServer> {
    const unity = new UnityServer();
    unity.#server = await startFakeServer((request, response) => unity.#respond(request, response), port);
    return unity;
  }

  get url(): string {
    return (this.#server as FakeServer).url;
  }

  get requests(): ReceivedRequest[] {
    return (this.#server as FakeServer).requests;
  }

  /** The paths that were requested below the API's, without queries, since the last call. */
  taken(): string[] {
    return this.requests.splice(0).map(({ method, path }) => `${method} ${path.replace(API, '').replace(/\?.*/, '')}`);
  }

  schema(catalog: string, schema: string): UnityObject[] {
    const schemas = this.catalogs.get(catalog) ?? new Map<string, UnityObject[]>();
    this.catalogs.set(catalog, schemas);
    const objects = schemas.get(schema) ?? [];
    schemas.set(schema, objects);
    return objects;
  }

  add(catalog: string, schema: string, object: Partial<UnityObject> & { name: string }): UnityObject {
    const added = { table_id: randomUUID(), table_type: 'EXTERNAL', data_source_format: 'DELTA', ...object };
    this.schema(catalog, schema).push(added);
    return added;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server?.[Symbol.asyncDispose]();
  }

  #respond(request: ReceivedRequest, response: ServerResponse): void {
    if (this.intercept(request, response)) return;
    const { status = 200, json } = this.#answer(request) ?? {};
    if (json !== undefined) respondWithJson(response, json, status);
    else response.writeHead(404, { 'content-type': 'text/plain' }).end('Status: 404\nDescription: Not Found');
  }

  /** Undefined for a call that the server does not have. */
  #answer({ method, path: pathAndQuery, headers, body }: ReceivedRequest): Answer | undefined {
    const { pathname, searchParams: query } = new URL(pathAndQuery, 'http://unity');
    if (!pathname.startsWith(API)) return undefined;
    if (this.token !== undefined && headers.authorization !== `Bearer ${this.token}`) {
      return failure(401, 'UNAUTHENTICATED', 'No authorization found');
    }
    const [, resource = '', ...path] = pathname.slice(API.length).split('/').map(decodeURIComponent);
    const call = `${method} ${resource}`;
    if (call === 'GET catalogs' && path.length === 0) {
      const names = [...this.catalogs.keys()];
      const items = names.map((name) => ({ name, catalog_type: this.catalogTypes.get(name) }));
      return this.#page(query, 'catalogs', items);
    }
    if (call === 'GET schemas' && path.length === 0) return this.#schemas(query);
    if (call === 'GET tables') return path.length === 0 ? this.#tables(query) : this.#table(path.join('/'));
    if (call === 'POST temporary-table-credentials') return this.#credentials(JSON.parse(body));
    if (call !== 'GET delta') return undefined;
    if (path.join('/') === 'preview/commits' && this.hasPreview) return this.#previewCommits(JSON.parse(body));
    return path[0] === 'v1' && this.hasDeltaApi ? this.#deltaApi(path.slice(1), query) : undefined;
  }

  #schemas(query: URLSearchParams): Answer {
    const catalog = query.get('catalog_name') ?? '';
    const schemas = this.catalogs.get(catalog);
    if (schemas === undefined) return failure(404, 'CATALOG_NOT_FOUND', `Catalog not found: ${catalog}`);
    const items = [...schemas.keys()].map((name) => ({ name, catalog_name: catalog, full_name: `${catalog}.${name}` }));
    return this.#page(query, 'schemas', items);
  }

  #tables(query: URLSearchParams): Answer {
    const [catalog = '', schema = ''] = [query.get('catalog_name') ?? '', query.get('schema_name') ?? ''];
    const objects = this.catalogs.get(catalog)?.get(schema);
    if (objects === undefined) return failure(404, 'SCHEMA_NOT_FOUND', `Schema not found: ${catalog}.${schema}`);
    const items = objects.map(({ columns, properties, ...object }) => ({
      ...object,
      ...{ catalog_name: catalog, schema_name: schema },
      ...(query.get('omit_columns') !== 'true' && { columns }),
      ...(query.get('omit_properties') !== 'true' && { properties }),
    }));
    return this.#page(query, 'tables', items, this.hasEmptyPages);
  }

  /** The token of a page is the last name before it. Items are in the order of their names. */
  #page(query: URLSearchParams, field: string, items: { name: string }[], hasEmptyPages = false): Answer {
    const size = Number(query.get('max_results') ?? 'NaN');
    if (size < 0) return failure(400, 'INVALID_ARGUMENT', 'maxResults must be greater than or equal to 0');
    const token = query.get('page_token');
    const sorted = [...items].sort((a, b) => (a.name < b.name ? -1 : 1));
    const [, empty, after] = /^(empty:)?(.*)$/s.exec(token ?? '') ?? [];
    const isKnown = !token || sorted.some(({ name }) => name === after) || empty !== undefined;
    const rest = isKnown ? sorted.filter(({ name }) => !after || name > after) : [];
    if (hasEmptyPages && isKnown && empty === undefined && rest.length > 0) {
      return this.#listing(field, [], `empty:${after ?? ''}`);
    }
    // Without max_results, a listing is not paged.
    const limit = Number.isNaN(size) ? rest.length : Math.min(size || MAX_PAGE, MAX_PAGE);
    const page = rest.slice(0, limit);
    return this.#listing(field, page, page.length === limit && limit > 0 ? page.at(-1)?.name : undefined);
  }

  #listing(field: string, items: unknown[], next?: string): Answer {
    return {
      json: {
        ...(!(items.length === 0 && this.leavesOutEmptyLists) && { [field]: items }),
        next_page_token: next ?? this.end,
      },
    };
  }

  #table(fullName: string): Answer {
    for (const [catalog, schemas] of this.catalogs) {
      for (const [schema, objects] of schemas) {
        const found = objects.find(({ name }) => `${catalog}.${schema}.${name}` === fullName);
        if (found) return { json: { ...found, catalog_name: catalog, schema_name: schema } };
      }
    }
    return failure(404, 'TABLE_NOT_FOUND', `Table not found: ${fullName}`);
  }

  #credentials({ table_id: id, operation }: Record<string, unknown>): Answer {
    const table = this.#byId(id);
    if (table === undefined) return failure(404, 'TABLE_NOT_FOUND', `Table not found: ${id}`);
    if (operation !== 'READ') return failure(400, 'INVALID_ARGUMENT', 'operation must be READ');
    const { accessKeyId, secretAccessKey, sessionToken, sas, oauth, expiresAtMs } = this.vend(table);
    const aws = { access_key_id: accessKeyId, secret_access_key: secretAccessKey, session_token: sessionToken };
    return {
      json: {
        aws_temp_credentials: accessKeyId ? aws : null,
        azure_user_delegation_sas: sas ? { sas_token: sas } : null,
        gcp_oauth_token: oauth ? { oauth_token: oauth } : null,
        expiration_time: expiresAtMs ?? null,
        url: table.storage_location,
      },
    };
  }

  #previewCommits({ table_id: id, start_version: from }: Record<string, unknown>): Answer {
    if (this.#byId(id) === undefined) return failure(404, 'TABLE_NOT_FOUND', `Table not found: ${id}`);
    const { latestVersion, commits } = this.commits.get(String(id)) ?? { latestVersion: -1, commits: [] };
    // The earlier ones are kept, and come in any order.
    const inRange = commits.filter(({ version }) => version >= Number(from)).sort((a, b) => a.version - b.version);
    return {
      json: {
        commits: inRange
          .slice(0, this.previewPage)
          .reverse()
          .map((commit) => ({
            version: commit.version,
            timestamp: commit.modifiedMs,
            file_name: commit.fileName,
            file_size: commit.size,
            file_modification_timestamp: commit.modifiedMs,
          })),
        latest_table_version: latestVersion,
      },
    };
  }

  #deltaApi(path: string[], query: URLSearchParams): Answer {
    if (path[0] === 'config') {
      const known = this.catalogs.has(query.get('catalog') ?? '') && query.get('protocol-versions') === '1.0';
      if (!known) return deltaFailure(404, 'NoSuchCatalogException', 'no such catalog');
      return {
        json: {
          endpoints: [TABLE_PATH, `${TABLE_PATH}/credentials`],
          'protocol-version': '1.0',
        },
      };
    }
    const [, catalog = '', , schema = '', , name = '', what] = path;
    const table = this.catalogs
      .get(catalog)
      ?.get(schema)
      ?.find((object) => object.name === name);
    if (table === undefined) return deltaFailure(404, 'NoSuchTableException', `Table not found: ${name}`);
    if (table.data_source_format !== 'DELTA') {
      return deltaFailure(400, 'UnsupportedTableFormatException', `${name} is not a Delta table`);
    }
    if (what === 'credentials') return this.#storageCredentials(table);
    const managed = table.table_type === 'MANAGED' ? this.commits.get(table.table_id) : undefined;
    const commits = [...(managed?.commits ?? [])].sort((a, b) => b.version - a.version);
    return {
      json: {
        metadata: {
          etag: 'never changes with data',
          'table-type': table.table_type,
          'table-uuid': table.table_id,
          location: table.storage_location,
          'created-time': 0,
          'updated-time': 0,
          columns: { type: 'struct', fields: [] },
          properties: table.properties ?? {},
          'last-commit-version': 0,
        },
        commits: commits.map((commit) => ({
          version: commit.version,
          timestamp: commit.modifiedMs,
          'file-name': commit.fileName,
          'file-size': commit.size,
          'file-modification-timestamp': commit.modifiedMs,
        })),
        ...(table.table_type === 'MANAGED' && { 'latest-table-version': managed?.latestVersion ?? 0 }),
      },
    };
  }

  #storageCredentials(table: UnityObject): Answer {
    const { accessKeyId, secretAccessKey, sessionToken, sas, oauth, expiresAtMs } = this.vend(table);
    const config = {
      's3.access-key-id': accessKeyId,
      's3.secret-access-key': secretAccessKey,
      's3.session-token': sessionToken,
      'azure.sas-token': sas,
      'gcs.oauth-token': oauth,
    };
    const entry = {
      prefix: table.storage_location,
      operation: 'READ',
      'expiration-time-ms': expiresAtMs ?? null,
      config,
    };
    // The longest prefix counts: the keys of the whole bucket are wrong.
    const bucket = { ...entry, prefix: 's3://', config: { ...config, 's3.access-key-id': 'WRONG' } };
    return { json: { 'storage-credentials': accessKeyId ? [bucket, entry] : [entry] } };
  }

  #byId(id: unknown): UnityObject | undefined {
    for (const schemas of this.catalogs.values()) {
      for (const objects of schemas.values()) {
        const found = objects.find(({ table_id }) => table_id === id);
        if (found) return found;
      }
    }
    return undefined;
  }
}

/** An error as in api/all.yaml. */
export function failure(status: number, code: string, message: string): Answer {
  return { status, json: { error_code: code, details: [], stack_trace: null, message } };
}

/** An error as in api/delta.yaml. */
function deltaFailure(status: number, type: string, message: string): Answer {
  return { status, json: { error: { message, type, code: status } } };
}
