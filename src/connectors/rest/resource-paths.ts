import type { NamespacePath } from '../../contract/upstream-names.ts';
import { CodedError } from '../../errors.ts';

/** The parts of a catalog's config that its paths depend on. */
export interface PathRules {
  /** Follows `/v1` in the paths; empty for none. */
  prefix: string;
  /** Separates the levels of a namespace; not percent-encoded, such as `.` or 0x1F. */
  separator: string;
}

/** Paths of the Iceberg REST OpenAPI, below the catalog's base. */
export function resourcePaths({ prefix, separator }: PathRules) {
  const root = prefix === '' ? '/v1' : `/v1/${prefix}`;
  // Levels are encoded before they are joined. The separator is encoded too, so that the server distinguishes it from a `.` in a name.
  const encodedSeparator = [...Buffer.from(separator, 'utf8')].map(percent).join('');
  const folder = (namespace: NamespacePath) =>
    `${root}/namespaces/${namespace.map((level) => segment(level, 'namespace')).join(encodedSeparator)}`;
  return {
    namespaces: (parent: NamespacePath, page: string) => {
      const below = parent.length === 0 ? '' : `&parent=${encodeStrictly(parent.join(separator))}`;
      return `${root}/namespaces?${page}${below}`;
    },
    tables: (namespace: NamespacePath, page: string) => `${folder(namespace)}/tables?${page}`,
    table: (namespace: NamespacePath, name: string) => `${folder(namespace)}/tables/${segment(name, 'table')}`,
    credentials: (namespace: NamespacePath, name: string) =>
      `${folder(namespace)}/tables/${segment(name, 'table')}/credentials`,
    views: (namespace: NamespacePath, page: string) => `${folder(namespace)}/views?${page}`,
    view: (namespace: NamespacePath, name: string) => `${folder(namespace)}/views/${segment(name, 'view')}`,
  };
}

/** Percent-encodes all but RFC 3986's unreserved characters. */
export function encodeStrictly(text: string): string {
  try {
    return encodeURIComponent(text).replace(/[!'()*]/g, (char) => percent(char.charCodeAt(0)));
  } catch {
    throw new CodedError(
      'INVALID_ARGUMENT',
      `${JSON.stringify(text)} is not a valid name: it contains half of a surrogate pair`,
    );
  }
}

function segment(name: string, what: string): string {
  // Servers and proxies interpret these as steps within the path, even if encoded (RFC 3986, section 5.2.4).
  if (name === '' || name === '.' || name === '..') {
    throw new CodedError('INVALID_ARGUMENT', `${JSON.stringify(name)} cannot be requested as the name of a ${what}`);
  }
  return encodeStrictly(name);
}

function percent(byte: number): string {
  return `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
}
