import { CodedError } from '../../errors.ts';
import type { Place, Properties } from '../cloud/cloud-service.ts';
import { parseConnectionString } from './connection-string.ts';

/**
 * The place of `abfss://container@account.dfs.core.windows.net/key`; the schemes `abfs:`, `wasb:` and `wasbs:` and the account's Blob host are also
 * accepted. As in pyiceberg, `abfss://container/key` is in the account that the connector names. Iceberg's writers store keys unencoded, so `%20`, `+`,
 * `?` and `#` are parts of the key.
 *
 * @throws CodedError `INVALID_ARGUMENT` if the container or the account is missing
 */
export function azurePath(path: string, properties: Properties): Place {
  const [, authority = '', key = ''] = /^(?:abfss?|wasbs?):\/\/([^/]*)\/?(.*)$/is.exec(path) ?? [];
  const [, named = authority, host] = /^([^@]*)@(.*)$/s.exec(authority) ?? [];
  const account = (host ?? accountHost(properties) ?? '').toLowerCase();
  // The characters are checked because the host becomes a part of a URL.
  if (/^[a-z0-9$][a-z0-9-]*$/.test(named) && /^[a-z0-9.-]+(:\d+)?$/.test(account)) {
    return { account: account.replace(/^([^.]+)\.blob\./, '$1.dfs.'), bucket: named, key };
  }
  throw new CodedError(
    'INVALID_ARGUMENT',
    `${path} names no container and storage account: write abfss://container@account.dfs.core.windows.net/path`,
  );
}

/** The account's host if the connector names a single account. */
function accountHost(properties: Properties): string | undefined {
  const name =
    properties['adls.account-name'] ||
    properties['adls.auth.shared-key.account.name'] ||
    parseConnectionString(properties['adls.connection-string'] ?? '').account;
  return properties['adls.account-host'] || (name ? `${name}.dfs.core.windows.net` : undefined);
}
