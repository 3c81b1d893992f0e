import type { IncomingHttpHeaders } from 'node:http';

/** Identifies a state of a table. */
export interface TableState {
  /** Location of the metadata file, or a substitute for it if the catalog does not return it. */
  metadata: string;
  /** ETag of the whole loadTable response, for `If-None-Match`. */
  etag?: string;
}

/** `METADATA-LOCATION`, or `METADATA-LOCATION etag=ETAG` if the catalog returns ETags. An ETag contains no space (RFC 9110). */
export function fingerprintOf({ metadata, etag }: TableState): string {
  return etag === undefined ? metadata : `${metadata} etag=${etag}`;
}

export function parseFingerprint(fingerprint: string): TableState {
  const [, metadata, etag] = /^(.*) etag=(\S+)$/s.exec(fingerprint) ?? [];
  return metadata === undefined ? { metadata: fingerprint } : { metadata, etag };
}

/**
 * The ETag of a response as the catalog created it. Jetty (in Iceberg's own server) and Apache append a suffix when they compress the
 * response, but do not remove it from `If-None-Match`, so with the suffix they would never respond with 304.
 */
export function etagOf({ etag }: IncomingHttpHeaders): string | undefined {
  const plain = etag?.trim().replace(/-{1,2}gzip("?)$/, '$1');
  return plain && /^\S+$/.test(plain) ? plain : undefined;
}
