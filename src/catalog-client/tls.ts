import { readFileSync } from 'node:fs';
import { createSecureContext, rootCertificates } from 'node:tls';
import { experimental } from '@grpc/grpc-js';
import { ChannelCredentials } from 'nice-grpc';
import type { Credentials } from '../config.ts';
import { CodedError } from '../errors.ts';
import type { CatalogAccess } from './access.ts';

/** How often files of certificates are read again. A connection that is open keeps the certificates with which it was made. */
const REFRESH_MS = 60_000;

type CertificateProvider = Parameters<typeof experimental.createCertificateProviderChannelCredentials>[0];

/**
 * TLS with the certificates in these files; without a CA, with the authorities that Node trusts.
 *
 * @throws CodedError INVALID_ARGUMENT that names the variable if a file cannot be read, or does not contain what it should
 */
export function tlsOfFiles({ ca, clientCert, clientKey }: Credentials): ChannelCredentials {
  checkFiles({ ca, clientCert, clientKey });
  if (ca === undefined && clientCert === undefined) return ChannelCredentials.createSsl();
  const identity = clientCert === undefined ? {} : { certificateFile: clientCert, privateKeyFile: clientKey };
  const files = new experimental.FileWatcherCertificateProvider({
    ...identity,
    caCertificateFile: ca,
    refreshIntervalMs: REFRESH_MS,
  });
  return experimental.createCertificateProviderChannelCredentials(
    ca === undefined ? TRUSTED_BY_NODE : files,
    clientCert === undefined ? null : files,
  );
}

/** The credentials of a channel: those of the access, or plaintext. */
export function channelCredentials({ tls }: CatalogAccess, isTls: boolean): ChannelCredentials {
  if (tls instanceof ChannelCredentials) return tls;
  if (tls !== undefined) return ChannelCredentials.createSsl(tls.ca, tls.key, tls.cert);
  return isTls ? ChannelCredentials.createSsl() : ChannelCredentials.createInsecure();
}

/** What gRPC reports about such a file is that there are no credentials, without saying why. */
function checkFiles({ ca, clientCert, clientKey }: Pick<Credentials, 'ca' | 'clientCert' | 'clientKey'>): void {
  const read = (variable: string, path: string | undefined) => {
    if (path === undefined) return undefined;
    try {
      return readFileSync(path);
    } catch (error) {
      const reason = (error as NodeJS.ErrnoException).code;
      throw new CodedError(
        'INVALID_ARGUMENT',
        `${variable}=${path} cannot be read (${reason}). Correct it or unset it.`,
      );
    }
  };
  const check = (variable: string, path: string | undefined, options: Parameters<typeof createSecureContext>[0]) => {
    try {
      createSecureContext(options);
    } catch {
      // The error's text could contain parts of a key.
      throw new CodedError('INVALID_ARGUMENT', `${variable}=${path} does not contain what it should, in PEM form.`);
    }
  };
  const [caPem, cert, key] = [
    read('RECONCILER_CA', ca),
    read('RECONCILER_CLIENT_CERT', clientCert),
    read('RECONCILER_CLIENT_KEY', clientKey),
  ];
  // Node takes any text as authorities, and then trusts none. As a certificate of its own, it reads the first.
  check('RECONCILER_CA', ca, { ca: caPem, cert: caPem });
  check('RECONCILER_CLIENT_CERT', clientCert, { cert });
  check('RECONCILER_CLIENT_KEY', clientKey, { key });
  check('RECONCILER_CLIENT_CERT', `${clientCert} or RECONCILER_CLIENT_KEY=${clientKey}`, { cert, key });
}

const TRUSTED_BY_NODE: CertificateProvider = {
  addCaCertificateListener: (listener) =>
    process.nextTick(listener, { caCertificate: Buffer.from(rootCertificates.join('\n')) }),
  removeCaCertificateListener() {},
  addIdentityCertificateListener() {},
  removeIdentityCertificateListener() {},
};
