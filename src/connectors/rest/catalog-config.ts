import { CodedError } from '../../errors.ts';
import { JsonFields } from '../../formats/json/json-fields.ts';
import { MalformedError } from '../../formats/malformed.ts';
import { sameOrigin } from './catalog-uri.ts';
import type { HttpClient } from './http-client.ts';
import { encodeStrictly, resourcePaths } from './resource-paths.ts';
import { NotJsonError, ResponseError } from './response-error.ts';

/** The catalog's configuration of its clients (`GET /v1/config`). */
export interface CatalogConfig {
  /** The URL to which paths are appended. */
  base: string;
  paths: ReturnType<typeof resourcePaths>;
  /** The connector's own properties take precedence over the catalog's defaults, and the catalog's overrides over both. */
  defaults: Readonly<Record<string, string>>;
  overrides: Readonly<Record<string, string>>;
  /**
   * All of them together with the connector's own, without those that the catalog takes away by an override of null. For requests to the catalog:
   * the connector's keys and roles for storage stay.
   */
  merged(own: Readonly<Record<string, string>>): Record<string, string>;
  /** Whether the catalog supports an endpoint, such as `GET /v1/{prefix}/namespaces`. */
  has(endpoint: string): boolean;
}

export const LIST_NAMESPACES = 'GET /v1/{prefix}/namespaces';
export const LIST_TABLES = 'GET /v1/{prefix}/namespaces/{namespace}/tables';
export const LOAD_TABLE = 'GET /v1/{prefix}/namespaces/{namespace}/tables/{table}';
export const LOAD_CREDENTIALS = 'GET /v1/{prefix}/namespaces/{namespace}/tables/{table}/credentials';
export const LIST_VIEWS = 'GET /v1/{prefix}/namespaces/{namespace}/views';
export const LOAD_VIEW = 'GET /v1/{prefix}/namespaces/{namespace}/views/{view}';

/** The endpoints used here that a catalog supports if its config lists none. */
const DEFAULT_ENDPOINTS = [LIST_NAMESPACES, LIST_TABLES, LOAD_TABLE];

const MAX_BYTES = 4 * 1024 * 1024;
/** Separator of namespace levels if the config does not set one. */
const UNIT_SEPARATOR = '\u001f';

/**
 * Loads the catalog's config.
 *
 * @param base as `catalogBase` returns it
 * @param own the connector's properties
 * @throws CodedError that states which of the address, the credentials and the warehouse is wrong
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
  const removed = Object.entries((fields.raw.overrides as object | null) ?? {}).filter(([, value]) => value === null);
  const mergedWith = (own: Readonly<Record<string, string>>): Record<string, string> => {
    const kept = { ...own };
    for (const [key] of removed) delete kept[key];
    return { ...defaults, ...kept, ...overrides };
  };
  const merged = mergedWith(own);
  // An empty list means the same as none (Iceberg's `RESTSessionCatalog`).
  const listed = fields.strings('endpoints').map((endpoint) => endpoint.trim().replace(/\s+\/?/, ' /'));
  const endpoints = new Set(
    listed.length > 0
      ? listed
      : DEFAULT_ENDPOINTS.concat(
          // Catalogs that predate the list of endpoints announce views with this property.
          merged['view-endpoints-supported']?.toLowerCase() === 'true' ? [LIST_VIEWS, LOAD_VIEW] : [],
        ),
  );
  // A catalog may override its path. An override to another host is ignored, because the credentials would be sent there.
  const { uri } = overrides;
  return {
    base: uri && sameOrigin(uri, base) ? uri.replace(/\/+$/, '').replace(/\/v1$/, '') : base,
    paths: resourcePaths({
      prefix: prefixOf(merged.prefix ?? ''),
      separator: separatorOf(merged['namespace-separator']),
    }),
    defaults,
    overrides,
    merged: mergedWith,
    has: (endpoint) => endpoints.has(endpoint),
  };
}

/** The prefix is already percent-encoded. Characters that no path may contain are encoded nevertheless. */
function prefixOf(prefix: string): string {
  return prefix.replace(/^\/+|\/+$/g, '').replace(/[^!-~]|["<>\\^`{|}#?]/gu, (char) => encodeURIComponent(char));
}

/** The config contains the separator percent-encoded. */
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
      `${new URL(url).origin} responded, but there is no Iceberg REST catalog at ${at}: ${found} ` +
        'Check the path of the URI; many catalogs need one such as /iceberg or /api/catalog.',
      { cause: error },
    );
  if (error instanceof MalformedError) return noCatalog(`${error.message}.`);
  if (error instanceof ResponseError) {
    const { status, reported } = error;
    const text = reported ? [reported.type, reported.message].filter(Boolean).join(': ') : '';
    // Nessie responds with 500 to an unknown warehouse. Servers that are not catalogs respond with 404 too, but without an exception type.
    const isCatalog = /warehouse/i.test(text) || (status === 404 && /Exception$/.test(reported?.type ?? ''));
    if (warehouse && isCatalog && [400, 404, 500].includes(status)) {
      return new CodedError(
        'NOT_FOUND',
        `the catalog at ${at} has no warehouse ${JSON.stringify(warehouse)}: it responded with ${status} ${text}. ` +
          "Check the connector's property warehouse.",
        { cause: error },
      );
    }
    if (!warehouse && status === 400 && /warehouse/i.test(text)) {
      return new CodedError(
        'INVALID_ARGUMENT',
        `the catalog at ${at} requires a warehouse: it responded with 400 ${text}. Set the connector's property warehouse.`,
        { cause: error },
      );
    }
    if (status === 404 || status === 405) return noCatalog(error.message);
  }
  if (error instanceof NotJsonError) return noCatalog(error.message);
  return error;
}
