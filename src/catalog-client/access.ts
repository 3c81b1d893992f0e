import type { ChannelCredentials } from 'nice-grpc';

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
