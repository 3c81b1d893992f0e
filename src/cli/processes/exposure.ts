import { UsageError } from '../io/errors.ts';

/** How the catalog is about to serve. */
export interface Exposure {
  /** host:port. */
  address: string;
  hasTls: boolean;
  /** `--insecure-no-auth`. */
  noAuth: boolean;
  /** `--insecure-plaintext`. */
  plaintext: boolean;
}

/**
 * Checks that nobody beyond this machine can call a catalog without being known, or read along.
 *
 * @returns what is missing all the same, for the log
 * @throws UsageError
 */
export function checkExposure({ address, hasTls, noAuth, plaintext }: Exposure): string[] {
  const host = address.slice(0, address.lastIndexOf(':')).replace(/^\[|\]$/g, '');
  const isLocal = /^(127\.\d{1,3}\.\d{1,3}\.\d{1,3}|::1|localhost)$/i.test(host);
  if (noAuth && !isLocal) {
    throw new UsageError(
      `--insecure-no-auth is refused with the address ${address}`,
      'whoever reaches it could do everything: leave the option out, or listen on 127.0.0.1',
    );
  }
  if (plaintext && hasTls) {
    throw new UsageError('--insecure-plaintext and RECONCILER_TLS_CERT exclude each other', 'leave one of them out');
  }
  if (!isLocal && !hasTls && !plaintext) {
    throw new UsageError(
      `the catalog does not listen on ${address} without TLS`,
      'set RECONCILER_TLS_CERT and RECONCILER_TLS_KEY to the paths of a certificate and its key; add --insecure-plaintext only if a service mesh encrypts what is sent to this address',
    );
  }
  return [
    ...(noAuth
      ? ['INSECURE: --insecure-no-auth is on, so every process of this machine may do everything with this catalog']
      : []),
    ...(plaintext && !isLocal
      ? [
          `INSECURE: --insecure-plaintext is on, so tokens and data are sent to and from ${address} unencrypted unless a service mesh encrypts them`,
        ]
      : []),
  ];
}
