import { CodedError } from '../../errors.ts';

const API = '/api/2.1/unity-catalog';

/** Where a Unity Catalog server is. */
export interface UnityAddress {
  /** The URL of the workspace or server, without a slash at the end. */
  host: string;
  /** The URL to which the API's paths are appended. */
  api: string;
}

/**
 * Parses the connector's URI: that of a Databricks workspace or of a Unity Catalog server, with or without the path of its API.
 *
 * @throws CodedError `INVALID_ARGUMENT` that states what is wrong with the URI
 */
export function unityAddress(uri: string): UnityAddress {
  const url = URL.canParse(uri.trim()) ? new URL(uri.trim()) : undefined;
  const refused = (problem: string) =>
    new CodedError(
      'INVALID_ARGUMENT',
      `connector URI ${JSON.stringify(url ? url.origin + url.pathname : uri.slice(0, 200))} ${problem}. Use the URL of a workspace or server, ` +
        'such as https://dbc-1234.cloud.databricks.com or http://localhost:8080.',
    );
  if (url === undefined || !/^https?:$/.test(url.protocol)) throw refused('is not an http(s) URL');
  if (url.username !== '' || url.password !== '') throw refused('contains a user or password');
  // Workspaces are often copied as https://adb-1.2.azuredatabricks.net/?o=1.
  if (url.search !== '' || url.hash !== '') throw refused('has a query or fragment');
  const path = url.pathname.replace(/\/+$/, '');
  const prefix = path.endsWith(API) ? path.slice(0, -API.length) : path;
  return { host: url.origin + prefix, api: url.origin + prefix + API };
}
