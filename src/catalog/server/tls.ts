import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { Http2SecureServer, Http2Server } from 'node:http2';
import { createSecureContext } from 'node:tls';
import { ServerCredentials } from '@grpc/grpc-js';
import type { Logger } from 'pino';
import type { TlsFiles } from '../../config.ts';
import { CodedError } from '../../errors.ts';

/** How often the files are read again. */
const RELOAD_MS = 10_000;

interface Material {
  cert: Buffer;
  key: Buffer;
  ca?: Buffer;
}

export interface ServerTls {
  credentials: ServerCredentials;
  /** Gives servers the files' new contents when they change. One that cannot be used is logged, and the former one stays. */
  keepUpToDate(servers: readonly (Http2Server | Http2SecureServer)[]): void;
  stop(): void;
}

/**
 * Reads the certificate, its key and the CA of clients. grpc-js can watch files, too, but refuses all connections while one is broken.
 *
 * @param reloadMs for tests
 * @throws CodedError INVALID_ARGUMENT that names the setting
 */
export async function openTls(files: TlsFiles, logger: Logger, reloadMs = RELOAD_MS): Promise<ServerTls> {
  const first = await readMaterial(files);
  let current = first;
  let refused: string | undefined;
  let timer: NodeJS.Timeout | undefined;
  let stopped = false;
  logger.info(describe(first), 'the catalog serves TLS');

  async function reload(servers: readonly Http2SecureServer[]): Promise<void> {
    try {
      const material = await readMaterial(files);
      refused = undefined;
      if (isSame(material, current)) return;
      for (const server of servers) server.setSecureContext(material);
      current = material;
      logger.info(describe(material), 'the TLS files have changed: new connections use the new ones');
    } catch (error) {
      const { message } = error as Error;
      if (message !== refused)
        logger.error({ err: message }, 'the TLS files cannot be used: the former ones stay in use');
      refused = message;
    }
  }

  return {
    credentials: ServerCredentials.createSsl(
      first.ca ?? null,
      [{ cert_chain: first.cert, private_key: first.key }],
      first.ca !== undefined,
    ),
    keepUpToDate(servers) {
      const secure = servers.filter((server) => 'setSecureContext' in server);
      const next = () => {
        if (stopped) return;
        timer = setTimeout(() => void reload(secure).then(next), reloadMs);
        timer.unref();
      };
      next();
    },
    stop() {
      stopped = true;
      clearTimeout(timer);
    },
  };
}

async function readMaterial(files: TlsFiles): Promise<Material> {
  const [cert, key] = await Promise.all([
    read('RECONCILER_TLS_CERT', files.cert),
    read('RECONCILER_TLS_KEY', files.key),
  ]);
  const ca = files.clientCa === undefined ? undefined : await read('RECONCILER_TLS_CLIENT_CA', files.clientCa);
  try {
    if (ca !== undefined) new X509Certificate(ca);
  } catch (cause) {
    throw unusable('RECONCILER_TLS_CLIENT_CA', files.clientCa, 'is not a certificate in PEM', cause);
  }
  try {
    new X509Certificate(cert);
  } catch (cause) {
    throw unusable('RECONCILER_TLS_CERT', files.cert, 'is not a certificate in PEM', cause);
  }
  try {
    createSecureContext({ cert, key, ca });
  } catch (cause) {
    throw unusable('RECONCILER_TLS_KEY', files.key, 'is not the private key of RECONCILER_TLS_CERT in PEM', cause);
  }
  return { cert, key, ca };
}

async function read(setting: string, file: string): Promise<Buffer> {
  try {
    return await readFile(file);
  } catch (cause) {
    throw unusable(setting, file, `cannot be read (${(cause as NodeJS.ErrnoException).code})`, cause);
  }
}

function unusable(setting: string, file: string | undefined, why: string, cause: unknown): CodedError {
  return new CodedError('INVALID_ARGUMENT', `${setting}=${file} ${why}: give the path of a PEM file`, { cause });
}

function isSame(a: Material, b: Material): boolean {
  return a.cert.equals(b.cert) && a.key.equals(b.key) && (a.ca === b.ca || (a.ca && b.ca?.equals(a.ca)) === true);
}

/** For the log. */
function describe({ cert, ca }: Material): object {
  const { subject, validTo } = new X509Certificate(cert);
  return { subject, validTo, clientCertificates: ca !== undefined };
}
