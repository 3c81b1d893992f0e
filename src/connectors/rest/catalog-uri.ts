import { CodedError } from '../../errors.ts';

/**
 * The URL to which a catalog's paths are appended, without a slash at the end: `https://host/iceberg` for `https://host/iceberg/`,
 * `https://host/iceberg/v1` and `https://host/iceberg/v1/config`.
 *
 * @throws CodedError `INVALID_ARGUMENT` that states what is wrong with the URI
 */
export function catalogBase(uri: string): string {
  let url: URL;
  try {
    url = new URL(uri.trim());
  } catch {
    throw new CodedError('INVALID_ARGUMENT', `connector URI ${JSON.stringify(uri.slice(0, 200))} is not a URL`);
  }
  if (url.protocol !== 'http:' && url.protocol !== 'https:') {
    throw new CodedError(
      'INVALID_ARGUMENT',
      `connector URI ${uri.slice(0, 200)}: the URI of an Iceberg REST catalog begins with http: or https:`,
    );
  }
  if (url.username !== '' || url.password !== '') {
    throw new CodedError(
      'INVALID_ARGUMENT',
      `connector URI of ${url.host} contains a user or password. Put a reference to the credentials into the connector's auth instead.`,
    );
  }
  if (url.search !== '' || url.hash !== '') {
    throw new CodedError(
      'INVALID_ARGUMENT',
      `connector URI ${uri.slice(0, 200)} has a query or fragment. Put the warehouse into the property warehouse.`,
    );
  }
  return (url.origin + url.pathname).replace(/\/+$/, '').replace(/\/v1(\/config)?$/, '');
}

export function sameOrigin(url: string, other: string): boolean {
  return URL.canParse(url) && new URL(url).origin === new URL(other).origin;
}
