import { CodedError } from '../errors.ts';

/**
 * The path of a plain path or a `file:` URI: `/a`, `file:/a`, `file:///a`, `file://localhost/a`.
 *
 * Nothing is percent-decoded, because Iceberg's writers store paths unencoded and `%20` may be part of a name.
 *
 * @throws CodedError `UNIMPLEMENTED` for another scheme, `INVALID_ARGUMENT` for another host or an invalid path
 */
export function localPath(uri: string): string {
  const path = withoutScheme(uri);
  if (path === '' || path.includes('\0')) {
    throw new CodedError('INVALID_ARGUMENT', `${JSON.stringify(uri.slice(0, 200))} is not a path on a file system`);
  }
  return path;
}

/**
 * The paths that a person may have meant by a URI, the likeliest first: the path unchanged, then percent-decoded.
 *
 * @throws CodedError as `localPath`
 */
export function localPathCandidates(uri: string): string[] {
  const unchanged = localPath(uri);
  if (!/^file:/i.test(uri) || !uri.includes('%')) return [unchanged];
  try {
    const decoded = decodeURIComponent(unchanged);
    return decoded.includes('\0') ? [unchanged] : [unchanged, decoded];
  } catch {
    return [unchanged];
  }
}

function withoutScheme(uri: string): string {
  // A scheme must have at least two letters, so that `c:\lake` has none.
  const [, scheme, rest = ''] = /^([a-z][a-z0-9+.-]+):(.*)$/is.exec(uri) ?? [];
  if (scheme === undefined) return uri;
  if (scheme.toLowerCase() !== 'file') {
    // A relative path may contain a colon, but not `://`.
    if (!rest.startsWith('//')) return uri;
    throw new CodedError(
      'UNIMPLEMENTED',
      `${uri} is not on the local file system; only plain paths and file: URIs can be read here`,
    );
  }
  if (!rest.startsWith('//')) return rest;
  const [, host = '', path = ''] = /^\/\/([^/]*)(.*)$/s.exec(rest) ?? [];
  if (host !== '' && host.toLowerCase() !== 'localhost') {
    throw new CodedError(
      'INVALID_ARGUMENT',
      `${uri} names the host ${JSON.stringify(host)}; write file:///path for a path on this machine`,
    );
  }
  return path;
}
