import { type Config, isTlsAddress } from '../config.ts';
import type { CatalogAccess } from './access.ts';
import { tlsOfFiles } from './tls.ts';
import { openTokenSource } from './tokens/open-token-source.ts';

/**
 * The access that the settings, and options of the command line, describe.
 *
 * @param address of the catalog service
 * @throws CodedError INVALID_ARGUMENT if a file of certificates cannot be used
 */
export function openAccess(
  config: Config,
  address: string,
  options: { tokenFile?: string; tenant?: string } = {},
): CatalogAccess {
  const source = openTokenSource(config, address, options.tokenFile);
  return {
    token: source?.token,
    tokenSource: source?.name,
    tls: isTlsAddress(address) ? tlsOfFiles(config.credentials) : undefined,
    tenant: options.tenant ?? config.tenant,
    insecurePlaintext: config.credentials.insecurePlaintext,
  };
}
