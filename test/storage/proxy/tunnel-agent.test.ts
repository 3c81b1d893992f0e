import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer as createProxy } from 'node:http';
import { createServer, get, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import type { TlsOptions } from 'node:tls';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from '@jest/globals';
import { Connections } from '../../../src/storage/proxy/connections.ts';
import type { ForwardProxy as Settings } from '../../../src/storage/proxy/proxy.ts';
import { TunnelAgent } from '../../../src/storage/proxy/tunnel-agent.ts';
import { ForwardProxy } from './forward-proxy.ts';

let ca: string;
let server: Server;
let proxy: ForwardProxy;
let agents: TunnelAgent[];
beforeAll(async () => {
  const folder = mkdtempSync(join(tmpdir(), 'certificate-'));
  const [key, cert] = [join(folder, 'key'), join(folder, 'cert')];
  const made = '-x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=t';
  const names = 'subjectAltName=DNS:secure.corp.invalid,IP:127.0.0.1';
  execFileSync('openssl', ['req', ...made.split(' '), '-keyout', key, '-out', cert, '-addext', names], {
    stdio: 'pipe',
  });
  ca = readFileSync(cert, 'utf8');
  server = createServer({ key: readFileSync(key), cert: ca }, ({ url }, response) => response.end(`you are at ${url}`));
  rmSync(folder, { recursive: true });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});
beforeEach(async () => {
  agents = [];
  proxy = await ForwardProxy.start();
});
afterEach(async () => {
  for (const agent of agents) agent.destroy();
  await proxy[Symbol.asyncDispose]();
});

function tunnel(settings: Partial<Settings> = {}, options: object = { ca }): TunnelAgent {
  const agent = new TunnelAgent({ origin: proxy.url, ...settings }, { keepAlive: true, maxSockets: 2, ...options });
  agents.push(agent);
  return agent;
}

/** Requests `/x` of the server. @returns the body of the response */
function request(agent: TunnelAgent, host = 'secure.corp.invalid'): Promise<string> {
  const { port } = server.address() as AddressInfo;
  return new Promise((resolve, reject) => {
    get({ agent, host, port, path: '/x' }, (response) => resolve(text(response))).on('error', reject);
  });
}

it('leads to the server, whose certificate is checked, and is used again', async () => {
  const agent = tunnel();
  expect(await request(agent)).toBe('you are at /x');
  expect(await request(agent)).toBe('you are at /x');
  expect(proxy.asked).toEqual([`CONNECT secure.corp.invalid:${(server.address() as AddressInfo).port}`]);
  expect(await Promise.all([1, 2, 3, 4, 5, 6].map(() => request(agent)))).toHaveLength(6);
  await expect(request(tunnel(), 'other.corp.invalid')).rejects.toMatchObject({ code: 'ERR_TLS_CERT_ALTNAME_INVALID' });
  await expect(request(tunnel({}, {}))).rejects.toMatchObject({ code: 'DEPTH_ZERO_SELF_SIGNED_CERT' });
});

it('can lead through a proxy that speaks TLS, which is asked by its own name', async () => {
  const names: string[] = [];
  const SNICallback: TlsOptions['SNICallback'] = (name, done) => {
    names.push(name);
    done(null);
  };
  const secure = createServer({ SNICallback }).listen(0, '127.0.0.1');
  await once(secure, 'listening');
  const origin = `https://localhost:${(secure.address() as AddressInfo).port}`;
  const connections = new Connections(1);
  try {
    await expect(request(tunnel({ origin }))).rejects.toMatchObject({ name: 'ProxyError' });
    const direct = { secure: false, host: 'plain.corp.invalid', port: '', path: '/x', headers: {} };
    const route = connections.routed(direct, { origin });
    expect(route).toMatchObject({ host: 'localhost', path: 'http://plain.corp.invalid/x' });
    await expect(new Promise((resolve, reject) => get(route, resolve).on('error', reject))).rejects.toThrow();
    expect(names).toEqual(['localhost', 'localhost']);
  } finally {
    connections.destroy();
    secure.close();
  }
});

it('sends the credentials to the proxy only', async () => {
  proxy.credentials = 'me:secret';
  const authorization = `Basic ${Buffer.from('me:secret').toString('base64')}`;
  expect(await request(tunnel({ authorization }))).toBe('you are at /x');
  await expect(request(tunnel())).rejects.toMatchObject({
    name: 'ProxyError',
    isTransient: false,
    message: expect.stringMatching(/407.*requires credentials/),
  });
  await expect(request(tunnel({ authorization: 'Basic eDp5' }))).rejects.toThrow('requires other credentials');
});

it.each([
  [403, false],
  [404, false],
  [502, true],
])('that the proxy refuses with %i has no response of the server', async (status, isTransient) => {
  const refusing = createProxy().listen(0, '127.0.0.1');
  refusing.on('connect', (_, socket) => socket.end(`HTTP/1.1 ${status} No\r\ncontent-length: 2\r\n\r\n{}`));
  await once(refusing, 'listening');
  const origin = `http://127.0.0.1:${(refusing.address() as AddressInfo).port}`;
  try {
    await expect(request(tunnel({ origin }))).rejects.toMatchObject({
      name: 'ProxyError',
      isTransient,
      message: expect.stringContaining(`the proxy ${origin} did not connect to secure.corp.invalid:`),
    });
  } finally {
    refusing.close();
  }
});
