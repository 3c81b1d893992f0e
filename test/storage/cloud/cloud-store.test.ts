import type { ServerResponse } from 'node:http';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { ObjectStore } from '../../../src/storage/object-store.ts';
import { openStore } from '../../../src/storage/open-store.ts';
import { entriesOf } from '../../../src/storage/sorted-pages.ts';
import { newUsage, type Usage } from '../../../src/storage/usage.ts';
import { type FakeServer, type ReceivedRequest, startFakeServer } from '../../connectors/rest/fake-server.ts';
import { stubEnv, unstubAllEnvs } from '../../jest/stub-env.ts';
import { atCorp, ForwardProxy } from '../proxy/forward-proxy.ts';

const HOST = 'lakeaccount.dfs.core.windows.net';
const KEY = Buffer.from('the key of lakeaccount').toString('base64');

interface Entry {
  name: string;
  folder?: boolean;
  size?: number;
}

/** What differs between the services. */
interface Service {
  path: (key: string) => string;
  properties: (url: string) => Record<string, string>;
  /** The header of a range. */
  range: string;
  fail: (response: ServerResponse, status: number, code: string, message: string) => void;
  /** The code of a missing object and of a missing bucket, with its message. */
  missing: { object: [string, string]; bucket: [string, string] };
  page: (response: ServerResponse, entries: Entry[], next?: string) => void;
  token: (request: ReceivedRequest) => string | null;
  /** Another secret, and whether a request has it. */
  rotated: Record<string, string>;
  credential: RegExp;
}

const query = ({ path }: ReceivedRequest) => new URL(path, 'http://x').searchParams;

const SERVICES: Record<string, Service> = {
  azure: {
    path: (key) => `abfss://lake@${HOST}/${key}`,
    properties: (url) => ({
      [`adls.connection-string.${HOST}`]: `${url}/lakeaccount`,
      'adls.auth.shared-key.account.name': 'lakeaccount',
      'adls.auth.shared-key.account.key': KEY,
    }),
    range: 'x-ms-range',
    fail: (response, status, code, message) =>
      void response
        .writeHead(status, { 'x-ms-error-code': code })
        .end(`<?xml version="1.0"?><Error><Code>${code}</Code><Message>${message}\nRequestId:1</Message></Error>`),
    missing: { object: ['BlobNotFound', 'none'], bucket: ['ContainerNotFound', 'none'] },
    page: (response, entries, next) => {
      const listed = entries.map(({ name, folder, size = 1 }) =>
        folder
          ? `<BlobPrefix><Name>${name}/</Name></BlobPrefix>`
          : `<Blob><Name>${name}</Name><Properties><Last-Modified>Mon, 30 Nov 2026 10:00:00 GMT</Last-Modified><Etag>0x1</Etag><Content-Length>${size}</Content-Length></Properties></Blob>`,
      );
      const marker = next === undefined ? '<NextMarker />' : `<NextMarker>${next}</NextMarker>`;
      response.end(
        `\ufeff<?xml version="1.0" encoding="utf-8"?><EnumerationResults><Blobs>${listed.join('')}</Blobs>${marker}</EnumerationResults>`,
      );
    },
    token: (request) => query(request).get('marker'),
    rotated: { 'adls.auth.shared-key.account.key': Buffer.from('another key').toString('base64') },
    credential: /the key of account lakeaccount/,
  },
  google: {
    path: (key) => `gs://lake/${key}`,
    properties: (url) => ({ 'gcs.service.host': url, 'gcs.oauth2.token': 'the-token-of-lake' }),
    range: 'range',
    fail: (response, status, reason, message) =>
      void response.writeHead(status).end(JSON.stringify({ error: { code: status, message, errors: [{ reason }] } })),
    missing: {
      object: ['notFound', 'No such object: lake/k'],
      bucket: ['notFound', 'The specified bucket does not exist.'],
    },
    page: (response, entries, nextPageToken) => {
      const items = entries.filter(({ folder }) => !folder);
      response.end(
        JSON.stringify({
          prefixes: entries.filter(({ folder }) => folder).map(({ name }) => `${name}/`),
          items: items.map(({ name, size = 1 }) => ({
            name,
            size: String(size),
            updated: '2026-11-30T10:00:00Z',
            generation: '7',
          })),
          nextPageToken,
        }),
      );
    },
    token: (request) => query(request).get('pageToken'),
    rotated: { 'gcs.oauth2.token': 'another-token' },
    credential: /the token in gcs\.oauth2\.token/,
  },
};

const object = (response: ServerResponse, body: string) =>
  void response.writeHead(200, { 'content-length': Buffer.byteLength(body) }).end(body);

describe.each(Object.keys(SERVICES))('%s', (name) => {
  const service = SERVICES[name] as Service;
  const at = service.path;
  let server: FakeServer;
  let usage: Usage;
  let store: ObjectStore;
  let answer: (request: ReceivedRequest, response: ServerResponse, n: number) => void | Promise<void>;

  beforeEach(async () => {
    server = await startFakeServer((request, response, n) => answer(request, response, n));
    answer = (_, response) => object(response, '0123456789');
    usage = newUsage();
    store = openStore({ properties: service.properties(server.url), usage });
  });
  afterEach(async () => {
    unstubAllEnvs();
    await server[Symbol.asyncDispose]();
  });

  const text = async (options: { maxBytes?: number; start?: number; end?: number } = {}) =>
    Buffer.from(await store.read(at('k'), { maxBytes: 100, ...options })).toString();
  const names = async (after?: string) => {
    const found: string[] = [];
    for await (const { name, folder } of entriesOf(store.list(at(''), { after })))
      found.push(folder ? `${name}/` : name);
    return found;
  };
  const failing = (code: string, ...parts: (string | RegExp)[]) => {
    const patterns = parts.map((part) => (typeof part === 'string' ? part : part.source));
    return expect.objectContaining({ code, message: expect.stringMatching(new RegExp(patterns.join('.*'), 's')) });
  };

  it('reads the whole object or a part, and counts', async () => {
    expect(await text()).toBe('0123456789');
    expect(usage).toEqual({ requests: 1, bytes: 10 });
    answer = (request, response) => {
      expect(request.headers[service.range]).toBe('bytes=2-4');
      response.writeHead(206, { 'content-length': 3, 'content-range': 'bytes 2-4/10' }).end('234');
    };
    expect(await text({ start: 2, end: 5 })).toBe('234');
    answer = (_, response) => service.fail(response, 416, 'InvalidRange', 'behind the end');
    expect(await text({ start: 50 })).toBe('');
    expect(await text({ start: 5, end: 5 })).toBe('');
    expect(usage.requests).toBe(3);
  });

  it('rejects more than maxBytes before receiving them', async () => {
    answer = (_, response) => {
      response.writeHead(200, { 'content-length': 1e9 });
      response.write('only the beginning');
    };
    await expect(text()).rejects.toEqual(
      failing('FAILED_PRECONDITION', at('k').replace(/\./g, '\\.'), '1000000000', 'limit is 100'),
    );
  });

  it('rejects a response that ignored the range', async () => {
    await expect(text({ start: 2, end: 5 })).rejects.toEqual(failing('UNIMPLEMENTED', 'ignored the requested range'));
  });

  it('retries, and passes the gate once per attempt', async () => {
    let passed = 0;
    const gate = async () => {
      passed += 1;
    };
    usage = newUsage({ gate });
    store = openStore({ properties: service.properties(server.url), usage });
    answer = (_, response, n) => {
      if (n === 1) return service.fail(response, 503, 'busy', 'later');
      if (n === 2) return service.fail(response, 500, 'internal', 'later');
      if (n === 3)
        return void response.writeHead(200, { 'content-length': 10 }).write('01234', () => response.destroy());
      object(response, '0123456789');
    };
    expect(await text()).toBe('0123456789');
    expect([passed, usage.requests, server.requests.length]).toEqual([4, 4, 4]);
  });

  it('ends after five attempts', async () => {
    answer = (_, response) =>
      void response.writeHead(200, { 'content-length': 10 }).write('01234', () => response.destroy());
    await expect(text()).rejects.toEqual(failing('UNAVAILABLE', 'cannot read', /truncated|connection broke/));
    expect(server.requests).toHaveLength(5);
  });

  it('leaves a long Retry-After to the caller', async () => {
    answer = (_, response) => {
      response.setHeader('retry-after', '30');
      service.fail(response, 429, 'slow', 'down');
    };
    await expect(text()).rejects.toMatchObject({ code: 'RESOURCE_EXHAUSTED', retryAfterMs: 30_000 });
    expect(server.requests).toHaveLength(1);
    answer = (_, response, n) => {
      response.setHeader('retry-after', '0');
      if (n === 2) return service.fail(response, 429, 'slow', 'down');
      object(response, 'success');
    };
    expect(await text()).toBe('success');
  });

  it('names what is missing', async () => {
    answer = (_, response) => service.fail(response, 404, ...service.missing.object);
    await expect(text()).rejects.toEqual(failing('NOT_FOUND', 'cannot read .*k: there is no such (blob|object)'));
    await expect(store.stat(at('k'))).rejects.toEqual(failing('NOT_FOUND', 'no such (blob|object)'));
    answer = (_, response) => service.fail(response, 404, ...service.missing.bucket);
    await expect(names()).rejects.toEqual(failing('NOT_FOUND', 'cannot list .*: there is no such (container|bucket)'));
    answer = (_, response) => service.page(response, []);
    await expect(entriesOf(store.list(at('no/folder'))).next()).rejects.toEqual(failing('NOT_FOUND', 'no such folder'));
    expect(await names()).toEqual([]);
  });

  it('names the credentials that lack a permission, and what they need, but no secret', async () => {
    const secrets = Object.values(service.properties(''));
    answer = (_, response) => service.fail(response, 403, 'Forbidden', `you sent ${secrets.at(-1)}`);
    const error = await text().catch((error) => error);
    expect(error).toEqual(failing('PERMISSION_DENIED', service.credential, 'needs the role'));
    expect(error.message).not.toContain(secrets.at(-1));
    expect(error.message).toContain('you sent ***');
    answer = (_, response) => service.fail(response, 401, 'Unauthorized', '');
    await expect(text()).rejects.toEqual(failing('UNAUTHENTICATED', service.credential));
    expect(server.requests).toHaveLength(2);
  });

  it('reads secrets again when they are refused, and repeats the request once', async () => {
    let rereads = 0;
    const properties = service.properties(server.url);
    const rotated = { ...properties, ...service.rotated };
    store = openStore({
      properties,
      usage,
      reread: async (refused) => {
        rereads += 1;
        return refused === properties ? rotated : refused;
      },
    });
    const first: (string | undefined)[] = [];
    answer = (request, response) => {
      const { authorization } = request.headers;
      first.push(authorization);
      if (authorization === first[0]) return service.fail(response, 401, 'Unauthorized', '');
      object(response, 'success');
    };
    expect(await text()).toBe('success');
    expect([rereads, first.length]).toEqual([1, 2]);
    answer = (_, response) => service.fail(response, 401, 'Unauthorized', '');
    await expect(text()).rejects.toEqual(failing('UNAUTHENTICATED'));
    expect([rereads, server.requests.length]).toEqual([2, 3]);
  });

  it('requests vended credentials again when they are refused', async () => {
    const { [name === 'azure' ? `adls.connection-string.${HOST}` : 'gcs.service.host']: endpoint = '', ...keys } =
      service.properties(server.url);
    const asked: (object | undefined)[] = [];
    const vended = [keys, { ...keys, ...service.rotated }];
    store = openStore({
      properties: { [name === 'azure' ? `adls.connection-string.${HOST}` : 'gcs.service.host']: endpoint },
      usage,
      own: {},
      vended: async (_, refused) => {
        asked.push(refused);
        return refused === undefined && asked.length === 1 ? vended[0] : vended[1];
      },
    });
    answer = (_, response, n) =>
      n === 1 ? service.fail(response, 401, 'Unauthorized', '') : object(response, 'success');
    expect(await text()).toBe('success');
    expect(asked.slice(0, 2)).toEqual([undefined, keys]);
  });

  it("uses no credentials of the connector's own at an endpoint that only a catalog names", async () => {
    const properties = service.properties(server.url);
    store = openStore({ properties, usage, own: {} });
    await expect(text()).rejects.toEqual(
      failing('FAILED_PRECONDITION', 'the catalog names', 'set the connector.s property'),
    );
    expect(server.requests).toHaveLength(0);
    store = openStore({ properties, usage, own: properties });
    expect(await text()).toBe('0123456789');
  });

  it('lists pages in the order of keys, wherever the service lists a folder', async () => {
    // Accounts with a hierarchical namespace list a folder before names that begin with its own.
    const pages: Entry[][] = [
      [{ name: '0' }, { name: 'a', folder: true }],
      [{ name: 'a-1' }, { name: 'a.2' }],
      [{ name: 'a0' }, { name: 'b', folder: true }],
    ];
    const sorted =
      name === 'azure'
        ? pages
        : [[{ name: '0' }, { name: 'a-1' }], [{ name: 'a.2' }, { name: 'a', folder: true }], pages[2]!];
    answer = (request, response) => {
      const n = Number(service.token(request) ?? 0);
      service.page(response, sorted[n] ?? [], n < 2 ? String(n + 1) : undefined);
    };
    expect(await names()).toEqual(['0', 'a-1', 'a.2', 'a/', 'a0', 'b/']);
    expect(server.requests).toHaveLength(3);
    expect(await names('a.2')).toEqual(['a/', 'a0', 'b/']);
    expect(await names('a/')).toEqual(['a0', 'b/']);
  });

  it('lists with size, time and version', async () => {
    answer = (_, response) => service.page(response, [{ name: 'x', size: 7 }]);
    const { value: entry } = await entriesOf(store.list(at(''))).next();
    const etag = name === 'azure' ? '0x1' : '7';
    expect(entry).toEqual({
      name: 'x',
      folder: false,
      stat: { size: 7, modifiedMs: Date.UTC(2026, 10, 30, 10), etag },
    });
  });

  it('ends if a page is repeated', async () => {
    answer = (_, response) => service.page(response, [{ name: 'x' }], 'again');
    await expect(names()).rejects.toEqual(failing('FAILED_PRECONDITION', 'same page'));
  });

  it.each(['nothing of the kind', '<html><body>login</body></html>', '{"items": '])(
    'refuses the listing %j',
    async (body) => {
      answer = (_, response) => void response.end(body);
      await expect(names()).rejects.toEqual(failing('FAILED_PRECONDITION', 'something other than|other than a list'));
    },
  );

  it('names an endpoint that cannot be reached', async () => {
    store = openStore({ properties: service.properties('http://127.0.0.1:1'), usage });
    await expect(text()).rejects.toEqual(failing('UNAVAILABLE', '127\\.0\\.0\\.1:1', 'ECONNREFUSED'));
  });

  it('is reached through a proxy', async () => {
    await using proxy = await ForwardProxy.start();
    for (const variable of ['http_proxy', 'https_proxy', 'no_proxy', 'NO_PROXY']) stubEnv(variable, undefined);
    const corp = atCorp(server.url, 'store');
    stubEnv('HTTP_PROXY', proxy.url);
    store = openStore({ properties: service.properties(corp), usage });
    expect(await text()).toBe('0123456789');
    stubEnv('HTTP_PROXY', undefined);
    const own = { 'rest.client.proxy.hostname': '127.0.0.1', 'rest.client.proxy.port': String(proxy.port) };
    store = openStore({ properties: { ...service.properties(corp), ...own }, usage });
    expect(await text()).toBe('0123456789');
    expect(proxy.asked).toHaveLength(2);
  });
});
