import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { withoutSecrets } from '../../../src/secrets.ts';
import { connectorProxy, proxyFor } from '../../../src/storage/proxy/proxy.ts';
import { stubEnv, unstubAllEnvs } from '../../jest/stub-env.ts';

beforeEach(() => {
  for (const name of ['http_proxy', 'https_proxy', 'no_proxy']) {
    stubEnv(name, undefined);
    stubEnv(name.toUpperCase(), undefined);
  }
});
afterEach(() => unstubAllEnvs());

const HTTP = new URL('http://catalog.example/v1');
const HTTPS = new URL('https://catalog.example/v1');

describe('the proxy of the environment', () => {
  it('is that of the protocol, in lower case first', () => {
    expect(proxyFor(HTTP)).toBeUndefined();
    stubEnv('HTTP_PROXY', 'http://one:3128');
    expect([proxyFor(HTTP)?.origin, proxyFor(HTTPS)]).toEqual(['http://one:3128', undefined]);
    stubEnv('HTTPS_PROXY', 'https://two');
    expect([proxyFor(HTTP)?.origin, proxyFor(HTTPS)?.origin]).toEqual(['http://one:3128', 'https://two']);
    stubEnv('http_proxy', 'three:8080');
    expect(proxyFor(HTTP)).toEqual({ origin: 'http://three:8080', isWorkers: true });
    stubEnv('NO_PROXY', 'catalog.example');
    expect([proxyFor(HTTP), proxyFor(HTTPS)]).toEqual([undefined, undefined]);
    stubEnv('no_proxy', 'other.example');
    expect(proxyFor(HTTP)?.origin).toBe('http://three:8080');
  });

  it('may have a user and a password, which is masked', () => {
    stubEnv('HTTP_PROXY', 'http://user:p%40ss-word@one:3128/');
    const authorization = `Basic ${Buffer.from('user:p@ss-word').toString('base64')}`;
    expect(proxyFor(HTTP)).toEqual({ origin: 'http://one:3128', isWorkers: true, authorization });
    expect(withoutSecrets(`p@ss-word ${authorization}`)).toBe('*** Basic ***');
  });

  it.each(['socks5://user:hidden@one', 'http://', 'http://one:port'])('%s is refused without repeating it', (url) => {
    stubEnv('HTTP_PROXY', url);
    expect(() => proxyFor(HTTP)).toThrow(
      expect.objectContaining({ code: 'FAILED_PRECONDITION', message: expect.stringContaining('HTTP_PROXY') }),
    );
    expect(() => proxyFor(HTTP)).not.toThrow('hidden');
  });
});

describe("the connector's own proxy", () => {
  const own = (properties: Record<string, string>) =>
    connectorProxy(
      Object.fromEntries(Object.entries(properties).map(([name, value]) => [`rest.client.proxy.${name}`, value])),
    );

  it('comes before that of the environment, but not for what NO_PROXY lists, nor for this machine', () => {
    stubEnv('HTTP_PROXY', 'http://one:3128');
    stubEnv('NO_PROXY', '.internal');
    const proxy = own({ hostname: 'mine', port: '3128' });
    expect(proxy).toEqual({ origin: 'http://mine:3128' });
    expect(proxyFor(HTTP, proxy)).toBe(proxy);
    expect(proxyFor(new URL('https://s3.internal'), proxy)).toBeUndefined();
    expect(proxyFor(new URL('http://127.0.0.1:9000'), proxy)).toBeUndefined();
    expect(own({})).toBeUndefined();
    const authorization = `Basic ${Buffer.from('me:mine-only').toString('base64')}`;
    expect(own({ hostname: '::1', port: '1', username: 'me', password: 'mine-only' })).toEqual({
      origin: 'http://[::1]:1',
      authorization,
    });
  });

  it.each([
    [{ hostname: 'mine' }, 'rest.client.proxy.port is not'],
    [{ port: '1' }, 'rest.client.proxy.hostname is not'],
    [{ hostname: 'mine', port: 'x' }, 'port=x'],
    [{ hostname: 'http://mine', port: '1' }, 'hostname=http://mine'],
    [{ hostname: 'mine', port: '1', username: 'me' }, 'rest.client.proxy.password is not'],
    [{ hostname: 'mine', port: '1', password: 'hidden' }, 'rest.client.proxy.username is not'],
  ])('%j is refused', (properties: Record<string, string>, message) => {
    expect(() => own(properties)).toThrow(
      expect.objectContaining({ code: 'FAILED_PRECONDITION', message: expect.stringContaining(message) }),
    );
    expect(() => own(properties)).not.toThrow('hidden');
  });
});
