import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** A certificate and its key: their paths, and their contents in PEM. */
export interface Certificate {
  files: { cert: string; key: string };
  cert: Buffer;
  key: Buffer;
}

/**
 * Makes a certificate for 127.0.0.1.
 *
 * @param ca what signs it; absent: it signs itself, and can sign others
 */
export function makeCertificate(directory: string, name: string, ca?: Certificate): Certificate {
  const files = { cert: join(directory, `${name}.crt`), key: join(directory, `${name}.key`) };
  const signer = ca ? ['-CA', ca.files.cert, '-CAkey', ca.files.key] : [];
  const what = ['-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '1', ...signer];
  const names = ['-subj', `/CN=${name}`, '-addext', 'subjectAltName=IP:127.0.0.1'];
  const args = ['req', ...what, '-keyout', files.key, '-out', files.cert, ...names];
  execFileSync('openssl', args, { stdio: 'pipe' });
  return { files, cert: readFileSync(files.cert), key: readFileSync(files.key) };
}
