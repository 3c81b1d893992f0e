import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from '@jest/globals';
import { makeCertificate } from '../../catalog/auth/certificates.ts';
import { TestCatalog } from '../../catalog/harness.ts';
import { runCli } from '../harness.ts';

const folder = mkdtempSync(join(tmpdir(), 'cli-tls-'));
afterAll(() => rmSync(folder, { recursive: true }));

const list = (address: string, env: Record<string, string> = {}) =>
  runCli(['connector', 'list', '--address', address], { RECONCILER_DATA_DIR: '/absent', ...env });

it('commands use TLS and mTLS, and name what is missing', async () => {
  const [ca, other] = [makeCertificate(folder, 'ca'), makeCertificate(folder, 'other')];
  const [server, client] = [makeCertificate(folder, 'server', ca), makeCertificate(folder, 'client', ca)];
  await using catalog = await TestCatalog.start({ tls: { ...server.files, clientCa: ca.files.cert } });
  const address = `https://${catalog.address}`;
  const trusting = { RECONCILER_CA: ca.files.cert };
  const identified = { RECONCILER_CLIENT_CERT: client.files.cert, RECONCILER_CLIENT_KEY: client.files.key };
  expect(await list(address, { ...trusting, ...identified })).toMatchObject({ code: 0 });
  expect(await list(address, { RECONCILER_CA: other.files.cert, ...identified })).toMatchObject({
    code: 3,
    stderr:
      `error: the catalog service at ${address} has a certificate of an authority that is not trusted here\n` +
      'hint: set RECONCILER_CA to the file with the certificate of that authority\n',
  });
  expect(await list(address, trusting)).toMatchObject({
    code: 3,
    stderr:
      `error: the catalog service at ${address} does not accept this client without a certificate that it trusts\n` +
      'hint: set RECONCILER_CLIENT_CERT and RECONCILER_CLIENT_KEY\n',
  });
  const named = address.replace('127.0.0.1', 'localhost');
  expect(await list(named, { ...trusting, ...identified })).toMatchObject({
    code: 3,
    stderr: expect.stringContaining(`the catalog service at ${named} has a certificate for other names than this\n`),
  });
  await using plain = await TestCatalog.start();
  expect(await list(`https://${plain.address}`)).toMatchObject({
    code: 3,
    stderr:
      `error: the catalog service at https://${plain.address} does not use TLS\n` +
      'hint: give the address without https://\n',
  });
});
