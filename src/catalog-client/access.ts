import type { ChannelCredentials } from 'nice-grpc';
import { type Config, isTlsAddress } from '../config.ts';
import { tlsOfFiles } from './tls.ts';
import { openTokenSource } from './tokens/open-token-source.ts';

/** How the calls of a client identify their caller, and whose data they concern. */
export interface CatalogAccess {
  /**
   * Returns the token of a call; undefined if there is none. Asked before every call.
   *
   * @param refused the token that the catalog service has just refused: the source is read again, and may return another
   */
  token?: (refused?: string) => Promise<string | undefined>;
  /** Where the token is from, for messages: `RECONCILER_TOKEN`, `the file /run/token`. */
  tokenSource?: string;
  /** PEM contents, or credentials made from files that are read again when they change. Given: the connection uses TLS. */
  tls?: { ca?: Buffer; cert?: Buffer; key?: Buffer } | ChannelCredentials;
  /** The tenant of calls, unless the work in progress names one. */
  tenant?: string;
  /** Sends the token without TLS beyond this machine too. */
  insecurePlaintext?: boolean;
}

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
