import { resolve } from 'node:path';
import { localPath } from './file-uri.ts';

/** Other names of the same scheme, as Hadoop's file systems have them. */
const SAME_SCHEME: Readonly<Record<string, string>> = { s3a: 's3', s3n: 's3' };

/**
 * The scheme of a path, in lower case: `file` for plain paths, `s3` for `s3a:` and `s3n:` too.
 */
export function schemeOf(path: string): string {
  const scheme = /^([a-z][a-z0-9+.-]+):\/\//i.exec(path)?.[1]?.toLowerCase();
  return scheme === undefined ? 'file' : (SAME_SCHEME[scheme] ?? scheme);
}

/**
 * One form for all the ways to write a location: `s3://bucket/a/b`, `file:/a/b`. Without `.`, `..`, doubled slashes and a slash at the
 * end. It is for comparing only: to S3 `a//b` is another key than `a/b`.
 *
 * @throws CodedError `INVALID_ARGUMENT` for what is no path
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

/** Whether a location is another one or lies below it, both as `comparableLocation` gives them. */
export function isWithin(location: string, folder: string): boolean {
  return location === folder || location.startsWith(`${folder}/`);
}
