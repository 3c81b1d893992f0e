import { CodedError } from '../../errors.ts';
import type { Properties } from '../cloud/cloud-service.ts';
import { parseConnectionString } from './connection-string.ts';

/** Domains of Azure's storage. A host below them belongs to Microsoft, whoever owns the account. */
const AZURE =
  /^[a-z0-9-]+\.(z\d+\.)?(privatelink\.)?(dfs|blob)\.(core\.(windows\.net|chinacloudapi\.cn|usgovcloudapi\.net|cloudapi\.de)|storage\.azure\.net|fabric\.microsoft\.com)$/;

/** The properties of an account: those that end with its host or name, and those without an account. */
export function ofAccount(properties: Properties, name: string, host: string): string | undefined {
  const [account] = accountName(host);
  const blob = host.replace('.dfs.', '.blob.');
  for (const key of [`${name}.${host}`, `${name}.${blob}`, `${name}.${account}`, name]) {
    if (properties[key]) return properties[key];
  }
  return undefined;
}

/** The name of the account with this host. */
export function accountName(host: string): [name: string] {
  return [host.replace(/[.:].*$/s, '')];
}

/**
 * The URL of the account's Blob service, which the connector names: in a connection string (or, as for Iceberg Java, a URL in its place), in
 * `adls.account-host`, or in `adls.blob-storage-authority` with `adls.blob-storage-scheme` as for pyarrow. Undefined if it names none.
 *
 * @param host of the account
 */
export function namedEndpoint(properties: Properties, host: string): string | undefined {
  const [account] = accountName(host);
  const { endpoint } = parseConnectionString(ofAccount(properties, 'adls.connection-string', host) ?? '');
  if (endpoint !== undefined) return checked(endpoint);
  const scheme = properties['adls.blob-storage-scheme'] || 'https';
  const authority = properties['adls.blob-storage-authority'];
  if (authority) {
    return checked(
      authority.startsWith('.') ? `${scheme}://${account}${authority}` : `${scheme}://${authority}/${account}`,
    );
  }
  const accountHost = properties['adls.account-host'];
  if (!accountHost || (properties['adls.account-name'] ?? account) !== account) return undefined;
  return checked(`${scheme}://${accountHost.replace('.dfs.', '.blob.')}`);
}

/**
 * The URL of the account's Blob service on Azure.
 *
 * @throws CodedError `FAILED_PRECONDITION` if the host is not one of Azure's: whoever writes a table chooses it, and a token sent there would be theirs
 */
export function azureEndpoint(host: string): string {
  if (AZURE.test(host)) return `https://${host.replace('.dfs.', '.blob.')}`;
  throw new CodedError(
    'FAILED_PRECONDITION',
    `${host} is not a host of Azure's storage. If the account is there, set the connector's property adls.connection-string.${host} to its URL or its ` +
      'connection string',
  );
}

function checked(endpoint: string): string {
  if (URL.canParse(endpoint) && /^https?:\/\/[^/@?#]+(\/[^@?#]*)?$/i.test(endpoint)) return endpoint;
  throw new CodedError('FAILED_PRECONDITION', `${endpoint} is not the http(s) URL of a storage account's Blob service`);
}
