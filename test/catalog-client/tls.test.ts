import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ServerCredentials } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type CallContext, createServer, type Server } from 'nice-grpc';
import { connectCatalog } from '../../src/catalog-client/connect.ts';
import { openAccess } from '../../src/catalog-client/open-access.ts';
import { readConfig } from '../../src/config.ts';
import { type Caller, TokensDefinition } from '../../src/generated/reconciler/v1/tokens.ts';

const folder = mkdtempSync(join(tmpdir(), 'tls-'));
const at = (name: string) => join(folder, name);
let server: Server;
let mutual: Server;
let address: string;
let mutualAddress: string;

/** Makes NAME.crt and NAME.key, signed by themselves. */
function makeCertificate(name: string): void {
  const args = '-x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=t'.split(' ');
  const names = ['-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1'];
  execFileSync('openssl', ['req', ...args, '-keyout', at(`${name}.key`), '-out', at(`${name}.crt`), ...names], {
    stdio: 'pipe',
  });
}

/** Returns the caller's token as its subject. */
async function serve(clientCa?: Buffer): Promise<[Server, string]> {
  const pair = { private_key: readFileSync(at('server.key')), cert_chain: readFileSync(at('server.crt')) };
  const started = createServer();
  const getCaller = async (_: object, { metadata }: CallContext) =>
    ({ subject: metadata.get('authorization') }) as Caller;
  const other = async () => {
    throw new Error('only GetCaller is called');
  };
  started.add(TokensDefinition, { getCaller, createToken: other, listTokens: other, revokeToken: other });
  const credentials = ServerCredentials.createSsl(clientCa ?? null, [pair], clientCa !== undefined);
  return [started, `https://127.0.0.1:${await started.listen('127.0.0.1:0', credentials)}`];
}

beforeAll(async () => {
  for (const name of ['server', 'client', 'other']) makeCertificate(name);
  [server, address] = await serve();
  [mutual, mutualAddress] = await serve(readFileSync(at('client.crt')));
});
afterAll(async () => {
  await server.shutdown();
  await mutual.shutdown();
  rmSync(folder, { recursive: true });
});

async function callerAt(to: string, env: Record<string, string>): Promise<string> {
  const config = readConfig({ RECONCILER_TOKEN: 'rct_secret', ...env });
  const clients = connectCatalog(to, openAccess(config, to));
  try {
    return (await clients.tokens.getCaller({}, { signal: AbortSignal.timeout(5_000) })).subject;
  } finally {
    clients.close();
  }
}

describe('with TLS, a client', () => {
  const ca = { RECONCILER_CA: at('server.crt') };

  it('sends its token to a service whose certificate is signed by the authority', async () => {
    expect(await callerAt(address, ca)).toBe('Bearer rct_secret');
    expect(await callerAt(address.replace('127.0.0.1', 'localhost'), ca)).toBe('Bearer rct_secret');
  });

  it('sends nothing to any other service', async () => {
    await expect(callerAt(address, {})).rejects.toThrow(/self-signed certificate/);
    await expect(callerAt(address, { RECONCILER_CA: at('other.crt') })).rejects.toThrow(/self-signed certificate/);
    // The certificate is for other names.
    await expect(callerAt(address.replace('127.0.0.1', '127.0.0.2'), ca)).rejects.toThrow();
  });

  it('identifies itself with its certificate', async () => {
    const own = { RECONCILER_CLIENT_CERT: at('client.crt'), RECONCILER_CLIENT_KEY: at('client.key') };
    expect(await callerAt(mutualAddress, { ...ca, ...own })).toBe('Bearer rct_secret');
    await expect(callerAt(mutualAddress, ca)).rejects.toThrow();
  });

  it.each([
    ['RECONCILER_CA', at('absent'), 'cannot be read (ENOENT)'],
    ['RECONCILER_CA', at('server.key'), 'does not contain what it should, in PEM form'],
    ['RECONCILER_CA', at('text'), 'does not contain what it should, in PEM form'],
  ])('names a file that it cannot use: %s=%s', async (variable, file, problem) => {
    writeFileSync(at('text'), 'no certificate');
    await expect(callerAt(address, { [variable]: file })).rejects.toThrow(`${variable}=${file} ${problem}`);
  });

  it('needs a key that belongs to its certificate', async () => {
    const wrong = { RECONCILER_CLIENT_CERT: at('client.crt'), RECONCILER_CLIENT_KEY: at('other.key') };
    await expect(callerAt(address, wrong)).rejects.toThrow(
      `RECONCILER_CLIENT_CERT=${at('client.crt')} or RECONCILER_CLIENT_KEY=${at('other.key')} does not contain`,
    );
    await expect(callerAt(address, { RECONCILER_CLIENT_CERT: at('client.crt') })).rejects.toThrow(
      'RECONCILER_CLIENT_CERT is set, but RECONCILER_CLIENT_KEY is not. Set both or none.',
    );
  });
});
