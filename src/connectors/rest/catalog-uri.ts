import { CodedError } from '../../errors.ts';

/**
 * The address below which a catalog's paths start, without a slash at the end: `https://host/iceberg` for `https://host/iceberg/`,
 * `https://host/iceberg/v1` and `https://host/iceberg/v1/config`.
 *
 * @throws CodedError `INVALID_ARGUMENT` that says what is wrong with the URI
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
      `connector URI ${uri.slice(0, 200)}: an Iceberg REST catalog has http: or https:`,
    );
  }
  if (url.username !== '' || url.password !== '') {
    throw new CodedError(
      'INVALID_ARGUMENT',
      `connector URI of ${url.host} holds a user or password; credentials go into the connector's auth, by reference`,
    );
  }
  if (url.search !== '' || url.hash !== '') {
    throw new CodedError(
      'INVALID_ARGUMENT',
      `connector URI ${uri.slice(0, 200)} has a query or fragment; the warehouse goes into the property warehouse`,
    );
  }
  return (url.origin + url.pathname).replace(/\/+$/, '').replace(/\/v1(\/config)?$/, '');
}

export function sameOrigin(url: string, other: string): boolean {
  return URL.canParse(url) && new URL(url).origin === new URL(other).origin;
}
