import { CodedError } from '../errors.ts';

/**
 * The path behind a plain path or a `file:` URI: `/a`, `file:/a`, `file:///a`, `file://localhost/a`.
 *
 * Nothing is percent-decoded: Iceberg's writers put paths into metadata as they are, and `%20` may be part of a name.
 *
 * @throws CodedError `UNIMPLEMENTED` for another scheme, `INVALID_ARGUMENT` for another host or what cannot be a path
 */
export function localPath(uri: string): string {
  const path = withoutScheme(uri);
  if (path === '' || path.includes('\0')) {
    throw new CodedError('INVALID_ARGUMENT', `${JSON.stringify(uri.slice(0, 200))} is not a path on a file system`);
  }
  return path;
}

/**
 * The paths that a person may have meant by a URI, the likeliest first: as it stands, then percent-decoded.
 *
 * @throws CodedError as `localPath`
 */
export function localPathCandidates(uri: string): string[] {
  const asItStands = localPath(uri);
  if (!/^file:/i.test(uri) || !uri.includes('%')) return [asItStands];
  try {
    const decoded = decodeURIComponent(asItStands);
    return decoded.includes('\0') ? [asItStands] : [asItStands, decoded];
  } catch {
    return [asItStands];
  }
}

function withoutScheme(uri: string): string {
  // A scheme has two letters at least here, so that `c:\lake` is not one.
  const [, scheme, rest = ''] = /^([a-z][a-z0-9+.-]+):(.*)$/is.exec(uri) ?? [];
  if (scheme === undefined) return uri;
  if (scheme.toLowerCase() !== 'file') {
    // A plain relative path may hold a colon, but nothing with `//` behind it is one.
    if (!rest.startsWith('//')) return uri;
    throw new CodedError('UNIMPLEMENTED', `${uri} does not lie on this file system: only file: can be read here`);
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
