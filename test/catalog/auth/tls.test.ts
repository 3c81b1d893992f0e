import { X509Certificate } from 'node:crypto';
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { type ClientHttp2Session, connect as connectHttp2 } from 'node:http2';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import { afterAll, expect, it } from '@jest/globals';
import { ChannelCredentials } from 'nice-grpc';
import { waitFor } from '../../jest/wait-for.ts';
import { failure, TestCatalog } from '../harness.ts';
import { type Certificate, makeCertificate } from './certificates.ts';
import { callWith } from './clients.ts';

const directory = mkdtempSync(join(tmpdir(), 'tls-'));
afterAll(() => rmSync(directory, { recursive: true }));
const ca = makeCertificate(directory, 'ca');
const server = makeCertificate(directory, 'server', ca);
const client = makeCertificate(directory, 'client', ca);
const stranger = makeCertificate(directory, 'stranger', makeCertificate(directory, 'another-ca'));

/** The window that a server announces to its clients. */
async function windowOf(url: string): Promise<number | undefined> {
  const session: ClientHttp2Session = connectHttp2(url, { ca: ca.cert });
  const settings = await new Promise<import('node:http2').Settings>((resolve, reject) => {
    session.once('remoteSettings', resolve);
    session.once('error', reject);
  });
  session.destroy();
  return settings.initialWindowSize;
}

/** The serial number of the certificate that a server presents. */
function serialOf(address: string): Promise<string> {
  const [host, port] = address.split(':');
  return new Promise((resolve, reject) => {
    const socket = connectTls({ host, port: Number(port), ca: ca.cert, ALPNProtocols: ['h2'] }, () => {
      resolve(socket.getPeerCertificate().serialNumber);
      socket.destroy();
    });
    socket.once('error', reject);
  });
}

const serial = ({ cert }: Certificate) => new X509Certificate(cert).serialNumber;

it('serves calls with TLS, with the same wide window as without', async () => {
  await using secure = await TestCatalog.start({ tls: server.files });
  await using plain = await TestCatalog.start();
  expect(await windowOf(`https://${secure.address}`)).toBe(4 * 1024 * 1024);
  expect(await windowOf(`http://${plain.address}`)).toBe(4 * 1024 * 1024);
  using trusting = callWith(secure.address, {}, ChannelCredentials.createSsl(ca.cert));
  expect(await trusting.catalogs.listCatalogs({})).toMatchObject({ catalogs: [] });
  using plaintext = callWith(secure.address, {});
  expect((await failure(plaintext.catalogs.listCatalogs({}))).code).toBe('UNAVAILABLE');
});

it('with a CA of clients, serves only those that present a certificate of it', async () => {
  await using catalog = await TestCatalog.start({ tls: { ...server.files, clientCa: ca.files.cert } });
  const call = async (who?: Certificate) => {
    using clients = callWith(catalog.address, {}, ChannelCredentials.createSsl(ca.cert, who?.key, who?.cert));
    return await clients.catalogs.listCatalogs({});
  };
  expect(await call(client)).toMatchObject({ catalogs: [] });
  expect((await failure(call())).code).toBe('UNAVAILABLE');
  expect((await failure(call(stranger))).code).toBe('UNAVAILABLE');
});

it('uses new files without a restart, and keeps the old ones while the new ones cannot be used', async () => {
  const files = { cert: join(directory, 'used.crt'), key: join(directory, 'used.key') };
  const use = ({ files: { cert, key } }: Certificate) => {
    copyFileSync(key, files.key);
    copyFileSync(cert, files.cert);
  };
  use(server);
  await using catalog = await TestCatalog.start({ tls: files, tlsReloadMs: 50 });
  expect(await serialOf(catalog.address)).toBe(serial(server));

  writeFileSync(files.cert, 'nothing');
  const broken = `RECONCILER_TLS_CERT=${files.cert} is not a certificate in PEM`;
  await waitFor(() => expect(catalog.log.join()).toContain(broken));
  expect(await serialOf(catalog.address)).toBe(serial(server));

  const next = makeCertificate(directory, 'next', ca);
  copyFileSync(next.files.cert, files.cert);
  await waitFor(() => expect(catalog.log.join()).toContain(`RECONCILER_TLS_KEY=${files.key} is not the private key`));
  use(next);
  await waitFor(async () => expect(await serialOf(catalog.address)).toBe(serial(next)));
  // However often a broken file is read, it is logged once.
  expect(catalog.log).toHaveLength(2);
});

it.each([
  [{ ...server.files, cert: '/none/a.crt' }, 'RECONCILER_TLS_CERT=/none/a.crt cannot be read (ENOENT)'],
  [{ ...server.files, key: client.files.key }, 'is not the private key of RECONCILER_TLS_CERT'],
  [{ ...server.files, clientCa: server.files.key }, 'RECONCILER_TLS_CLIENT_CA='],
])('does not start with files that cannot be used: %#', async (tls, message) => {
  await expect(TestCatalog.start({ tls })).rejects.toMatchObject({
    code: 'INVALID_ARGUMENT',
    message: expect.stringContaining(message),
  });
});
