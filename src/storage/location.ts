import { resolve } from 'node:path';
import { localPath } from './file-uri.ts';

/** Hadoop's other names of the same scheme. */
const SAME_SCHEME: Readonly<Record<string, string>> = { s3a: 's3', s3n: 's3' };

/** The scheme of a path in lower case: `file` for plain paths, `s3` also for `s3a:` and `s3n:`. */
export function schemeOf(path: string): string {
  const scheme = /^([a-z][a-z0-9+.-]+):\/\//i.exec(path)?.[1]?.toLowerCase();
  return scheme === undefined ? 'file' : (SAME_SCHEME[scheme] ?? scheme);
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
  const [, authority = '', rest = ''] = /^[^:]+:\/\/([^/]*)(.*)$/s.exec(path) ?? [];
  const below = resolve('/', `.${rest}`);
  return `${scheme}://${authority}${below === '/' ? '' : below}`;
}

/** Whether a location is the folder or is below it. Both must be results of `comparableLocation`. */
export function isWithin(location: string, folder: string): boolean {
  return location === folder || location.startsWith(`${folder}/`);
}
