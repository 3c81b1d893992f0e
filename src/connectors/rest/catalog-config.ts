import { CodedError } from '../../errors.ts';
import { JsonFields } from '../../formats/json/json-fields.ts';
import { MalformedError } from '../../formats/malformed.ts';
import { AnswerError, NotJsonError } from './answer-error.ts';
import { sameOrigin } from './catalog-uri.ts';
import type { HttpClient } from './http-client.ts';
import { encodeStrictly, resourcePaths } from './resource-paths.ts';

/** What the catalog tells its clients to begin with (`GET /v1/config`). */
export interface CatalogConfig {
  /** Where paths start. */
  base: string;
  paths: ReturnType<typeof resourcePaths>;
  /** Defaults and overrides of the catalog. The connector's own properties stand between the two. */
  defaults: Readonly<Record<string, string>>;
  overrides: Readonly<Record<string, string>>;
  /** Whether the catalog has such an endpoint, such as `GET /v1/{prefix}/namespaces`. */
  has(endpoint: string): boolean;
}

export const LIST_NAMESPACES = 'GET /v1/{prefix}/namespaces';
export const LIST_TABLES = 'GET /v1/{prefix}/namespaces/{namespace}/tables';
export const LOAD_TABLE = 'GET /v1/{prefix}/namespaces/{namespace}/tables/{table}';
export const LOAD_CREDENTIALS = 'GET /v1/{prefix}/namespaces/{namespace}/tables/{table}/credentials';
export const LIST_VIEWS = 'GET /v1/{prefix}/namespaces/{namespace}/views';
export const LOAD_VIEW = 'GET /v1/{prefix}/namespaces/{namespace}/views/{view}';

/** What a catalog has that does not say: of those called here. */
const DEFAULT_ENDPOINTS = [LIST_NAMESPACES, LIST_TABLES, LOAD_TABLE];

const MAX_BYTES = 4 * 1024 * 1024;
/** Between namespace levels where the config says nothing. */
const UNIT_SEPARATOR = '\u001f';

/**
 * @throws CodedError that tells which of the address, the credentials and the warehouse is wrong
 */
export async function loadConfig(
  client: HttpClient,
  base: string,
  own: Readonly<Record<string, string>>,
): Promise<CatalogConfig> {
  const { warehouse } = own;
  const url = `${base}/v1/config${warehouse ? `?warehouse=${encodeStrictly(warehouse)}` : ''}`;
  try {
    const { json } = await client.json({ url, maxBytes: MAX_BYTES });
    return configOf(new JsonFields(json, '', 'withheld'), base, own);
  } catch (error) {
    throw configError(url, warehouse, error);
  }
}

function configOf(fields: JsonFields, base: string, own: Readonly<Record<string, string>>): CatalogConfig {
  if (!fields.has('defaults') && !fields.has('overrides')) {
    throw new MalformedError('it has neither defaults nor overrides');
  }
  const defaults = fields.stringMap('defaults');
  const overrides = fields.stringMap('overrides');
  const merged = { ...defaults, ...own, ...overrides };
  // An empty list says as little as none (Iceberg's `RESTSessionCatalog`).
  const listed = fields.strings('endpoints').map((endpoint) => endpoint.trim().replace(/\s+\/?/, ' /'));
  const endpoints = new Set(
    listed.length > 0
      ? listed
      : DEFAULT_ENDPOINTS.concat(
          // The way of catalogs from before the list of endpoints.
          merged['view-endpoints-supported']?.toLowerCase() === 'true' ? [LIST_VIEWS, LOAD_VIEW] : [],
        ),
  );
  // A catalog may say at which path of its host it lies. To another host the credentials are not sent on its word.
  const said = overrides.uri;
  return {
    base: said && sameOrigin(said, base) ? said.replace(/\/+$/, '').replace(/\/v1$/, '') : base,
    paths: resourcePaths({
      prefix: prefixOf(merged.prefix ?? ''),
      separator: separatorOf(merged['namespace-separator']),
    }),
    defaults,
    overrides,
    has: (endpoint) => endpoints.has(endpoint),
  };
}

/** The prefix is percent-encoded already where it has to be; what no path may hold is encoded nevertheless. */
function prefixOf(prefix: string): string {
  return prefix.replace(/^\/+|\/+$/g, '').replace(/[^!-~]|["<>\\^`{|}#?]/gu, (char) => encodeURIComponent(char));
}

/** It stands percent-encoded in the config. */
function separatorOf(separator: string | undefined): string {
  if (!separator) return UNIT_SEPARATOR;
  try {
    return decodeURIComponent(separator);
  } catch {
    return separator;
  }
}

function configError(url: string, warehouse: string | undefined, error: unknown): unknown {
  const at = url.replace(/\?.*$/, '');
  const noCatalog = (found: string) =>
    new CodedError(
      'FAILED_PRECONDITION',
      `${new URL(url).origin} answered, but there is no Iceberg REST catalog at ${at}: ${found} ` +
        'Check the path of the URI: many catalogs have one, such as /iceberg or /api/catalog.',
      { cause: error },
    );
  if (error instanceof MalformedError) return noCatalog(`${error.message}.`);
  if (error instanceof AnswerError) {
    const { status, reported } = error;
    const words = reported ? [reported.type, reported.message].filter(Boolean).join(': ') : '';
    // Nessie answers 500 for it. Other servers than catalogs answer 404 as well, in words of their own.
    const isCatalog = /warehouse/i.test(words) || (status === 404 && /Exception$/.test(reported?.type ?? ''));
    if (warehouse && isCatalog && [400, 404, 500].includes(status)) {
      return new CodedError(
        'NOT_FOUND',
        `the catalog at ${at} knows no warehouse ${JSON.stringify(warehouse)}: it answered ${status} ${words}. ` +
          "Check the connector's property warehouse.",
        { cause: error },
      );
    }
    if (!warehouse && status === 400 && /warehouse/i.test(words)) {
      return new CodedError(
        'INVALID_ARGUMENT',
        `the catalog at ${at} wants a warehouse: it answered 400 ${words}. Set the connector's property warehouse.`,
        { cause: error },
      );
    }
    if (status === 404 || status === 405) return noCatalog(error.message);
  }
  if (error instanceof NotJsonError) return noCatalog(error.message);
  return error;
}
