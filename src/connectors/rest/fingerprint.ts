import type { IncomingHttpHeaders } from 'node:http';

/** What tells whether a table is what it was. */
export interface TableState {
  /** Where the metadata file lies, or what stands for it where the catalog does not say. */
  metadata: string;
  /** Of the whole loadTable answer; to ask with `If-None-Match`. */
  etag?: string;
}

/** `METADATA-LOCATION`, and where the catalog gives ETags `METADATA-LOCATION etag=ETAG`. An ETag has no space in it (RFC 9110). */
export function fingerprintOf({ metadata, etag }: TableState): string {
  return etag === undefined ? metadata : `${metadata} etag=${etag}`;
}

export function parseFingerprint(fingerprint: string): TableState {
  const [, metadata, etag] = /^(.*) etag=(\S+)$/s.exec(fingerprint) ?? [];
  return metadata === undefined ? { metadata: fingerprint } : { metadata, etag };
}

/**
 * The ETag of an answer as the catalog made it. Jetty (in Iceberg's own server) and Apache put a suffix to it when they pack the
 * answer, and do not take it off again when they are asked with it: with the suffix no 304 ever comes.
 */
export function etagOf({ etag }: IncomingHttpHeaders): string | undefined {
  const plain = etag?.trim().replace(/-{1,2}gzip("?)$/, '$1');
  return plain && /^\S+$/.test(plain) ? plain : undefined;
}
