import { resolve } from 'node:path';
import { localPath } from './file-uri.ts';

/** Other names of the same scheme: Hadoop's for S3, and those of Azure's storage, of which Iceberg's FileIO treats all alike. */
const SAME_SCHEME: ReadonlyMap<string, string> = new Map([
  ['s3a', 's3'],
  ['s3n', 's3'],
  ['abfs', 'abfss'],
  ['wasb', 'abfss'],
  ['wasbs', 'abfss'],
]);

/** The scheme of a path in lower case: `file` for plain paths, `s3` also for `s3a:` and `s3n:`, `abfss` also for `abfs:`, `wasb:` and `wasbs:`. */
export function schemeOf(path: string): string {
  const scheme = /^([a-z][a-z0-9+.-]+):\/\//i.exec(path)?.[1]?.toLowerCase();
  return scheme === undefined ? 'file' : (SAME_SCHEME.get(scheme) ?? scheme);
}

/** Whether a path is in an object store: S3, Azure or Google. */
export function isInObjectStore(path: string): boolean {
  return ['s3', 'abfss', 'gs'].includes(schemeOf(path));
}

/**
 * The path, or a prefix of paths, with one name for each scheme, and one host for the Blob and the DFS endpoint of an Azure storage account. Paths
 * that differ only in these name the same object.
 */
export function sameScheme(path: string): string {
  const named = path.replace(/^[a-z0-9]+(?=:|$)/i, (scheme) => SAME_SCHEME.get(scheme.toLowerCase()) ?? scheme);
  return named.replace(/^(abfss:\/\/[^/]*?)\.blob\./i, '$1.dfs.');
}

/**
 * A normalized form of a location, such as `s3://bucket/a/b` or `file:/a/b`, without `.`, `..`, doubled slashes and a trailing slash. Use it
 * only for comparisons: in S3 the keys `a//b` and `a/b` differ.
 *
 * @throws CodedError `INVALID_ARGUMENT` if it is not a path
 */
export function comparableLocation(path: string): string {
  const scheme = schemeOf(path);
  if (scheme === 'file') {
    const absolute = resolve(localPath(path));
    return absolute === '/' ? 'file:' : `file:${absolute}`;
  }
  const [, authority = '', rest = ''] = /^[^:]+:\/\/([^/]*)(.*)$/s.exec(sameScheme(path)) ?? [];
  const below = resolve('/', `.${rest}`);
  return `${scheme}://${authority}${below === '/' ? '' : below}`;
}

/** Whether a location is the folder or is below it. Both must be results of `comparableLocation`. */
export function isWithin(location: string, folder: string): boolean {
  return location === folder || location.startsWith(`${folder}/`);
}
