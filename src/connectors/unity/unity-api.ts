import type { TableRef } from '../../contract/upstream-names.ts';
import { CodedError } from '../../errors.ts';
import { JsonFields } from '../../formats/json/json-fields.ts';
import { MalformedError } from '../../formats/malformed.ts';
import type { HttpClient, JsonResponse } from '../rest/http-client.ts';
import { parseLargeResponse, parseResponse } from '../rest/parse-response.ts';
import { encodeStrictly } from '../rest/resource-paths.ts';
import { NotJsonError } from '../rest/response-error.ts';
import { type TableInfo, tableInfo, type ViewInfo, viewInfo } from './table-info.ts';
import type { UnityPage } from './unity-pages.ts';
import { isUnknownCall } from './unknown-call.ts';

/** For one page. A table without its columns has about 1 KB; views are listed with theirs. */
const MAX_PAGE_BYTES = 64 * 1024 * 1024;
const MAX_TABLE_BYTES = 64 * 1024 * 1024;

/** The three parts of a table's name. */
export interface UnityName {
  catalog: string;
  schema: string;
  table: string;
}

/** What is read of a listed catalog. */
export interface CatalogInfo {
  name: string;
  /** Only Databricks has types: `MANAGED_CATALOG`, `FOREIGN_CATALOG`, … */
  type: string;
}

export const nameText = ({ catalog, schema, table }: UnityName) => `${catalog}.${schema}.${table}`;
export const tableText = ({ namespace, name }: TableRef) => [...namespace, name].join('.');

/**
 * Unity Catalog's REST API, version 2.1 (`api/all.yaml` of unitycatalog/unitycatalog; Databricks has the same calls). Errors are those of `HttpClient`.
 */
export class UnityApi {
  readonly client: HttpClient;
  /** The API's URL, without a slash at the end. */
  readonly base: string;

  constructor(client: HttpClient, base: string) {
    this.client = client;
    this.base = base;
  }

  catalogs(size: number, token?: string): Promise<UnityPage<CatalogInfo>> {
    return this.#page('catalogs', 'catalogs', {}, size, token, (fields) => ({
      name: fields.string('name'),
      type: fields.optionalString('catalog_type') ?? '',
    }));
  }

  schemas(catalog: string, size: number, token?: string): Promise<UnityPage<string>> {
    const read = (fields: JsonFields) => fields.string('name');
    return this.#page('schemas', 'schemas', { catalog_name: catalog }, size, token, read);
  }

  tables(catalog: string, schema: string, size: number, token?: string): Promise<UnityPage<TableInfo>> {
    const omit = { omit_columns: 'true', omit_properties: 'true', omit_username: 'true' };
    const query = { catalog_name: catalog, schema_name: schema, ...omit };
    return this.#page('tables', 'tables', query, size, token, tableInfo);
  }

  /** The same with what describes views, so that no view has to be requested by itself. */
  views(catalog: string, schema: string, size: number, token?: string): Promise<UnityPage<TableInfo & ViewInfo>> {
    const query = { catalog_name: catalog, schema_name: schema, omit_username: 'true' };
    return this.#page('tables', 'tables', query, size, token, tableAndView);
  }

  table(name: UnityName): Promise<TableInfo & ViewInfo> {
    return this.get(`tables/${encodeStrictly(nameText(name))}`, MAX_TABLE_BYTES, 'a table', tableAndView);
  }

  /** Requests one object. @param path below the API's URL */
  async get<T>(path: string, maxBytes: number, expected: string, read: (fields: JsonFields) => T): Promise<T> {
    const url = `${this.base}/${path}`;
    const response = await this.client.json({ url, maxBytes });
    using _ = response.memory;
    return parseResponse(`GET ${url}`, expected, 'DATA_LOSS', () => read(new JsonFields(response.json)));
  }

  async #page<T>(
    path: string,
    field: string,
    query: Record<string, string>,
    size: number,
    token: string | undefined,
    read: (fields: JsonFields) => T,
  ): Promise<UnityPage<T>> {
    // Without max_results, Databricks does not page, and refuses large schemas.
    const all = { ...query, max_results: String(size), ...(token !== undefined && { page_token: token }) };
    const parameters = Object.entries(all).map(([key, value]) => `${key}=${encodeStrictly(value)}`);
    const url = `${this.base}/${path}?${parameters.join('&')}`;
    let response: JsonResponse;
    try {
      response = await this.client.json({ url, maxBytes: MAX_PAGE_BYTES });
    } catch (error) {
      throw notUnity(url, error);
    }
    using _ = response.memory;
    return parseLargeResponse(`GET ${url}`, 'a listing of Unity Catalog', 'FAILED_PRECONDITION', function* () {
      const fields = new JsonFields(response.json);
      // Databricks leaves out an empty list. An object with other fields proves nothing: what seems gone would be marked missing.
      const others = Object.keys(fields.raw).filter((name) => name !== 'next_page_token');
      if (!fields.hasList(field) && others.length > 0) throw new MalformedError(`it has no list '${field}'`);
      const items = yield* fields.each(field, read);
      // The token is absent, null or empty at the end.
      const nextToken = fields.optionalString('next_page_token') || undefined;
      if (nextToken !== undefined && nextToken === token) {
        throw new MalformedError('it has the requested page token as the next one, so the listing would never end');
      }
      return { items, nextToken };
    });
  }
}

const tableAndView = (fields: JsonFields) => ({ ...tableInfo(fields), ...viewInfo(fields) });

/** States that the address is wrong if the server does not know the API at all. */
function notUnity(url: string, error: unknown): unknown {
  if (!isUnknownCall(error) && !(error instanceof NotJsonError)) return error;
  return new CodedError(
    'FAILED_PRECONDITION',
    `${new URL(url).origin} responded, but there is no Unity Catalog at ${url.replace(/\?.*$/, '')}: ${(error as Error).message} ` +
      'Check the URI: it is that of the workspace or server, without the path of the API.',
    { cause: error },
  );
}
