import { describe, expect, it } from '@jest/globals';
import type { ResolvedSpec } from '../../../src/connectors/connector-spec.ts';
import type { NamespacePath } from '../../../src/contract/upstream-names.ts';
import { withoutSecrets } from '../../../src/secrets.ts';
import { CONFIG, catalog, listAll, open, type Responder } from './fake-catalog.ts';
import { respondWithError, respondWithJson } from './fake-server.ts';

const names = (count: number) => Array.from({ length: count }, (_, i) => `t${String(i).padStart(3, '0')}`);
const identifiers = (namespace: NamespacePath, tables: string[]) => tables.map((name) => ({ namespace, name }));

describe('the config', () => {
  it.each(['', '/', '/v1', '/v1/', '/v1/config'])('is found by a URI that ends with "%s"', async (end) => {
    const server = await catalog({ '/v1/namespaces': { namespaces: [['a']] } });
    const connector = await open({ url: server.url + end });
    expect((await connector.listNamespaces([], { size: 10 })).items).toEqual([['a']]);
  });

  it("puts the connector's properties over defaults and under overrides", async () => {
    const server = await catalog(
      { '/v1/over/namespaces': { namespaces: [['over']] }, '/v1/own/namespaces': { namespaces: [['own']] } },
      { defaults: { prefix: 'default' }, overrides: {} },
    );
    expect((await (await open(server, { prefix: 'own' })).listNamespaces([], { size: 10 })).items).toEqual([['own']]);
    const strict = await catalog(
      { '/v1/over/namespaces': { namespaces: [['over']] } },
      { defaults: { prefix: 'default' }, overrides: { prefix: 'over' } },
    );
    expect((await (await open(strict, { prefix: 'own' })).listNamespaces([], { size: 10 })).items).toEqual([['over']]);
  });

  it('may have nulls: an override of null takes a property of the connector away', async () => {
    const server = await catalog(
      { '/v1/namespaces': { namespaces: [['a']] } },
      { defaults: { 'io-impl': null, prefix: null }, overrides: { prefix: null, warehouse: null } },
    );
    const connector = await open(server, { prefix: 'own' });
    expect((await connector.listNamespaces([], { size: 10 })).items).toEqual([['a']]);
  });

  it('may have headers, which the requests after it have', async () => {
    const server = await catalog(
      { '/v1/namespaces': { namespaces: [['a']] } },
      { defaults: { 'header.X-A': 'default', 'header.X-B': 'default' }, overrides: { 'header.X-C': 'over' } },
    );
    const connector = await open(server, { 'header.X-B': 'own', 'header.X-C': 'own' });
    await connector.listNamespaces([], { size: 10 });
    const [config, listing] = server.requests.map(({ headers }) => [headers['x-a'], headers['x-b'], headers['x-c']]);
    expect(config).toEqual([undefined, 'own', 'own']);
    expect(listing).toEqual(['default', 'own', 'over']);
  });

  it('may have headers that HTTP does not allow: they are left out with a warning that names the catalog', async () => {
    const server = await catalog(
      { '/v1/namespaces': { namespaces: [['a']] } },
      {
        defaults: { 'header.Host': 'elsewhere', 'header.X-A': 'a', 'header.a b': 'c', 'header.X-Tenant': 'b' },
        overrides: { 'header.X-Token': 'secret\r\ny: z', 'header.X-Own': null, 'header.X-Tenant': 'c' },
      },
    );
    const warnings: string[] = [];
    const hints = { headerHints: { 'x-tenant': 'hint' } };
    const own = { 'header.X-Own': 'o', 'header.X-B': 'b' };
    const connector = await open(server, own, hints, { warn: (message) => void warnings.push(message) });
    expect((await connector.listNamespaces([], { size: 10 })).items).toEqual([['a']]);
    const { headers } = server.requests.at(-1)!;
    expect(headers).toMatchObject({ 'x-a': 'a', 'x-b': 'b', 'x-tenant': 'hint', host: new URL(server.url).host });
    expect(Object.keys(headers)).not.toEqual(expect.arrayContaining(['x-own']));
    expect(Object.keys(headers)).not.toEqual(expect.arrayContaining(['x-token']));
    expect(warnings).toEqual([
      `The config of the catalog at ${server.url} has 3 headers that HTTP does not allow. The requests are sent without. First: "Host" cannot be set as a header of the requests.`,
    ]);
  });

  it('may have secrets in its headers, which do not push out those of connectors', async () => {
    const secrets = Array.from({ length: 1_001 }, (_, i) => [`header.X-Token-${i}`, `issued-secret-${i}`]);
    const server = await catalog({}, { defaults: {}, overrides: Object.fromEntries(secrets) });
    await open(server, { 'header.X-Token': 'a-secret-of-the-connector' });
    expect(withoutSecrets('a-secret-of-the-connector, issued-secret-1000')).toBe('***, ***');
  });

  it('is requested with the warehouse', async () => {
    const server = await catalog({});
    await open(server, { warehouse: 's3://b/w h?' });
    expect(server.requests[0]?.path).toBe('/v1/config?warehouse=s3%3A%2F%2Fb%2Fw%20h%3F');
  });

  it.each([
    [undefined, '/v1/namespaces/a%1Fb.c%2Fd%20%C3%A9%2B/tables/t%25', 'a%1Fb.c%2Fd%20%C3%A9%2B'],
    ['%2E', '/v1/namespaces/a%2Eb.c%2Fd%20%C3%A9%2B/tables/t%25', 'a.b.c%2Fd%20%C3%A9%2B'],
    ['%1F', '/v1/namespaces/a%1Fb.c%2Fd%20%C3%A9%2B/tables/t%25', 'a%1Fb.c%2Fd%20%C3%A9%2B'],
  ])('determines paths by its separator %s', async (separator, path, parent) => {
    const server = await catalog(
      {},
      { defaults: {}, overrides: separator ? { 'namespace-separator': separator } : {} },
    );
    const connector = await open(server);
    const namespace = ['a', 'b.c/d é+'];
    await connector.fingerprint({ namespace, name: 't%' }).catch(() => {});
    await connector.listNamespaces(namespace, { size: 7 }).catch(() => {});
    expect(server.requests[1]?.path).toBe(`${path}?snapshots=all`);
    expect(server.requests[2]?.path).toBe(`/v1/namespaces?pageToken=&pageSize=7&parent=${parent}`);
  });

  it('lists the endpoints, and others are not called', async () => {
    const server = await catalog({}, { ...CONFIG, endpoints: ['GET /v1/{prefix}/namespaces'] });
    const connector = await open(server);
    await expect(connector.listTables(['a'], { size: 1 })).rejects.toMatchObject({ code: 'UNIMPLEMENTED' });
    expect(connector.listViews).toBeUndefined();
    expect(server.requests).toHaveLength(1);
  });

  it('with an empty list of endpoints means the default endpoints', async () => {
    const server = await catalog(
      { '/v1/namespaces/a/tables': { identifiers: identifiers(['a'], ['t']) } },
      { ...CONFIG, endpoints: [] },
    );
    const connector = await open(server);
    expect((await connector.listTables(['a'], { size: 1 })).items).toEqual([
      { namespace: ['a'], name: 't', format: 'ICEBERG' },
    ]);
  });

  it('may set another path of the same host, but not another host', async () => {
    const other = await catalog({ '/v1/namespaces': { namespaces: [['stolen']] } });
    const serverWith = async (uriOf: (host: string) => string) =>
      catalog({
        '/v1/config': ((request, response) =>
          respondWithJson(response, {
            defaults: {},
            overrides: { uri: uriOf(request.headers.host ?? '') },
          })) as Responder,
        '/v1/namespaces': { namespaces: [['stayed']] },
        '/deep/v1/namespaces': { namespaces: [['moved']] },
      });
    const namespaces = async (server: { url: string }) =>
      (await (await open(server)).listNamespaces([], { size: 5 })).items;
    expect(await namespaces(await serverWith((host) => `http://${host}/deep/`))).toEqual([['moved']]);
    expect(await namespaces(await serverWith(() => `${other.url}/`))).toEqual([['stayed']]);
    expect(other.requests).toEqual([]);
  });

  const wrong: [string, Responder | object, Record<string, string>, string, RegExp][] = [
    [
      'a page in HTML',
      (_, response) => void response.writeHead(200, { 'content-type': 'text/html' }).end('<html>Welcome</html>'),
      {},
      'FAILED_PRECONDITION',
      /responded, but there is no Iceberg REST catalog at http:.*\/v1\/config:.*Welcome.*Check the path of the URI/,
    ],
    ['other JSON', { hello: 1 }, {}, 'FAILED_PRECONDITION', /no Iceberg REST catalog/],
    [
      'a 404 of another server',
      (_, response) => void response.writeHead(404, { 'content-type': 'text/plain' }).end('404 page not found'),
      {},
      'FAILED_PRECONDITION',
      /no Iceberg REST catalog.*404 page not found/,
    ],
    [
      'an unknown warehouse',
      (_, response) => respondWithError(response, 404, 'NotFoundException', 'Unable to find warehouse w'),
      { warehouse: 'w' },
      'NOT_FOUND',
      /has no warehouse "w": it responded with 404 NotFoundException: Unable to find warehouse w/,
    ],
    [
      'a wrong path, with a warehouse',
      (_, response) => respondWithJson(response, { status: 404, error: 'Not Found', path: '/v1/config' }, 404),
      { warehouse: 'w' },
      'FAILED_PRECONDITION',
      /no Iceberg REST catalog at .*404 Not Found/,
    ],
    [
      'a missing warehouse',
      (_, response) => respondWithError(response, 400, 'BadRequestException', 'Please specify a warehouse'),
      {},
      'INVALID_ARGUMENT',
      /requires a warehouse.*Set the connector's property warehouse/,
    ],
    [
      'missing credentials',
      (_, response) => respondWithError(response, 401, 'NotAuthorizedException', 'Not authenticated'),
      {},
      'UNAUTHENTICATED',
      /401 NotAuthorizedException: Not authenticated\. Check the connector's auth/,
    ],
    [
      'a missing permission',
      (_, response) => respondWithError(response, 403, 'ForbiddenException', 'not you'),
      {},
      'PERMISSION_DENIED',
      /403 ForbiddenException: not you\. The catalog accepts the connector's credentials but/,
    ],
  ];
  it.each(wrong)('has an error for %s', async (_, config, properties, code, message) => {
    const server = await catalog({ '/v1/config': config });
    await expect(open(server, properties)).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
  });

  it.each([
    ['ftp://h/x', /http: or https:/],
    ['http://user:pw@h/x', /Put a reference to the credentials into the connector's auth/],
    ['http://h/x?warehouse=w', /property warehouse/],
    ['http//', /not a URL/],
  ])('is not requested from %s', async (url, message) => {
    const error = await open({ url }).catch((e) => e);
    expect(error).toMatchObject({ code: 'INVALID_ARGUMENT', message: expect.stringMatching(message) });
    expect(error.message).not.toContain('pw@');
  });
});

describe('listings', () => {
  it('continue by page tokens, even after empty pages', async () => {
    const pages: Record<string, object> = {
      '': { identifiers: identifiers(['a'], ['t0']), 'next-page-token': 'p/1 é' },
      'p/1 é': { identifiers: [], 'next-page-token': 'p2' },
      p2: { identifiers: identifiers(['a'], ['t1']), 'next-page-token': null },
    };
    const server = await catalog({
      '/v1/namespaces/a/tables': ((request, response) => {
        respondWithJson(response, pages[new URL(request.path, 'http://x').searchParams.get('pageToken') ?? 'none']);
      }) as Responder,
    });
    const connector = await open(server);
    expect((await listAll((page) => connector.listTables(['a'], page))).map(({ name }) => name)).toEqual(['t0', 't1']);
  });

  it('that return the requested token as the next one are an error', async () => {
    const server = await catalog({
      '/v1/namespaces/a/tables': { identifiers: identifiers(['a'], ['t0']), 'next-page-token': 'same' },
    });
    const connector = await open(server);
    await expect(listAll((page) => connector.listTables(['a'], page))).rejects.toMatchObject({
      code: 'FAILED_PRECONDITION',
      message: expect.stringContaining('would never end'),
    });
    expect(server.requests).toHaveLength(3);
  });

  it('of a catalog that does not page are requested once and split into pages', async () => {
    const server = await catalog({
      '/v1/namespaces/a/tables': { identifiers: identifiers(['a'], names(95).reverse()) },
    });
    const connector = await open(server);
    const tables = await listAll((page) => connector.listTables(['a'], page), 10);
    expect(tables.map(({ name }) => name)).toEqual(names(95));
    expect(server.requests).toHaveLength(2);
  });

  it('of a catalog that does not page continue by name after it is opened again', async () => {
    const first = await catalog({
      '/v1/namespaces/a/tables': { identifiers: identifiers(['a'], ['b', 'd', 'f', 'h']) },
    });
    const { items, nextToken } = await (await open(first)).listTables(['a'], { size: 2 });
    expect(items.map(({ name }) => name)).toEqual(['b', 'd']);
    const later = await catalog({
      '/v1/namespaces/a/tables': { identifiers: identifiers(['a'], ['a', 'b', 'f', 'e']) },
    });
    const rest = await (await open(later)).listTables(['a'], { size: 2, token: nextToken });
    expect(rest.items.map(({ name }) => name)).toEqual(['e', 'f']);
    expect(rest.nextToken).toBeUndefined();
  });

  it('continue by name through all pages if the catalog has started to page', async () => {
    const first = await catalog({
      '/v1/namespaces/a/tables': { identifiers: identifiers(['a'], ['a', 'b', 'c', 'd', 'e']) },
    });
    const { nextToken } = await (await open(first)).listTables(['a'], { size: 2 });
    const pages: Record<string, object> = {
      '': { identifiers: identifiers(['a'], ['a', 'b']), 'next-page-token': '2' },
      2: { identifiers: identifiers(['a'], ['c', 'd']), 'next-page-token': '3' },
      3: { identifiers: identifiers(['a'], ['e']) },
    };
    const later = await catalog({
      '/v1/namespaces/a/tables': ((request, response) =>
        respondWithJson(
          response,
          pages[new URL(request.path, 'http://x').searchParams.get('pageToken') ?? ''],
        )) as Responder,
    });
    const connector = await open(later);
    const rest = await listAll(({ token, size }) => connector.listTables(['a'], { size, token: token ?? nextToken }));
    expect(rest.map(({ name }) => name)).toEqual(['c', 'd', 'e']);
  });

  it('of a catalog that does not page are each requested once, even if several are read at the same time', async () => {
    const server = await catalog({
      '/v1/namespaces/a/tables': { identifiers: identifiers(['a'], names(9)) },
      '/v1/namespaces/b/tables': { identifiers: identifiers(['b'], names(9)) },
    });
    const connector = await open(server);
    const first = await Promise.all(['a', 'b'].map((name) => connector.listTables([name], { size: 5 })));
    const second = await Promise.all(
      ['a', 'b'].map((name, i) => connector.listTables([name], { size: 5, token: first[i]?.nextToken })),
    );
    expect([...first, ...second].map(({ items }) => items.length)).toEqual([5, 5, 4, 4]);
    expect(server.requests).toHaveLength(3);
  });

  it('leave out tables of deeper levels, and namespaces that are not children', async () => {
    const server = await catalog({
      '/v1/namespaces': { namespaces: [['a'], ['a', 'b'], ['c', 'b'], ['a', 'b', 'c']] },
      '/v1/namespaces/a/tables': { identifiers: [...identifiers(['a'], ['x']), ...identifiers(['a', 'b'], ['y'])] },
    });
    const connector = await open(server);
    expect((await connector.listNamespaces([], { size: 10 })).items).toEqual([['a']]);
    expect((await connector.listNamespaces(['a'], { size: 10 })).items).toEqual([['a', 'b']]);
    expect((await connector.listTables(['a'], { size: 10 })).items).toEqual([
      { namespace: ['a'], name: 'x', format: 'ICEBERG' },
    ]);
    expect((await connector.listTables([], { size: 10 })).items).toEqual([]);
  });

  it.each([400, 406, 501])('of child namespaces are empty if the catalog refuses parents with %i', async (status) => {
    const server = await catalog({
      '/v1/namespaces': ((request, response) => {
        if (request.path.includes('parent'))
          respondWithError(response, status, 'UnsupportedOperationException', 'one level only');
        else respondWithJson(response, { namespaces: [['a']] });
      }) as Responder,
    });
    const connector = await open(server);
    expect((await connector.listNamespaces(['a'], { size: 10 })).items).toEqual([]);
    // A catalog with namespaces below others has refused something else.
    const deep = connector.listNamespaces(['a', 'b'], { size: 10 });
    if (status === 400) await expect(deep).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    else expect((await deep).items).toEqual([]);
  });

  it('that are malformed are errors', async () => {
    const server = await catalog({
      '/v1/namespaces/a/tables': { identifiers: 'x' },
      '/v1/namespaces/b/tables': {},
      '/v1/namespaces/c/tables': { identifiers: null },
      '/v1/namespaces': { namespaces: [[1]] },
    });
    const connector = await open(server);
    for (const name of ['b', 'c']) {
      await expect(connector.listTables([name], { size: 1 })).rejects.toMatchObject({
        code: 'FAILED_PRECONDITION',
        message: expect.stringMatching(/it has no list 'identifiers'/),
      });
    }
    await expect(connector.listTables(['a'], { size: 1 })).rejects.toMatchObject({ code: 'FAILED_PRECONDITION' });
    await expect(connector.listNamespaces([], { size: 1 })).rejects.toMatchObject({ code: 'FAILED_PRECONDITION' });
    await expect(connector.listTables(['..'], { size: 1 })).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  });
});

describe('headers', () => {
  it('are sent with every request, but access delegation only when a table is opened', async () => {
    const server = await catalog({ '/v1/namespaces': { namespaces: [] } });
    const connector = await open(
      server,
      { 'header.X-Tenant': 'prop', 'header.X-Other': 'o', 'rest.access-delegation': 'remote-signing' },
      { headerHints: { 'x-tenant': 'hint' } },
    );
    await connector.listNamespaces([], { size: 1 });
    await connector.openTable({ namespace: ['a'], name: 't' }).catch(() => {});
    await connector.fingerprint({ namespace: ['a'], name: 't' }).catch(() => {});
    for (const { headers } of server.requests) expect(headers).toMatchObject({ 'x-tenant': 'hint', 'x-other': 'o' });
    expect(server.requests.map(({ headers }) => headers['x-iceberg-access-delegation'])).toEqual([
      undefined,
      undefined,
      'remote-signing',
      undefined,
    ]);
  });

  it('that HTTP does not allow are refused', async () => {
    const server = await catalog({});
    await expect(open(server, { 'header.a b': 'x' })).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    await expect(open(server, { 'header.a': 'x\r\ny: z' })).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    await expect(open(server, { 'header.Host': 'x' })).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    expect(server.requests).toEqual([]);
  });
});

describe('auth schemes', () => {
  it.each<[string, Record<string, string>, Partial<ResolvedSpec['auth']>, string | RegExp | undefined]>([
    ['nothing', {}, {}, undefined],
    ['none', {}, { scheme: 'NONE', secret: 'x' }, undefined],
    ['a secret', {}, { secret: 'tok' }, 'Bearer tok'],
    ['bearer', {}, { scheme: 'Bearer', secret: 'tok' }, 'Bearer tok'],
    ['bearer with line breaks around it', {}, { scheme: 'bearer', secret: '\ntok \r\n\n' }, 'Bearer tok'],
    ['the property token', { token: 'tok' }, {}, 'Bearer tok'],
    [
      'sigv4',
      { 'rest.signing-region': 'r1', 'rest.signing-name': 's1' },
      { scheme: 'aws', secret: 'AK:SK' },
      /^AWS4-HMAC-SHA256 Credential=AK\/\d{8}\/r1\/s1\//,
    ],
    [
      'rest.sigv4-enabled',
      {
        'rest.sigv4-enabled': 'true',
        'rest.signing-region': 'r1',
        'rest.access-key-id': 'AK',
        'rest.secret-access-key': 'SK',
      },
      {},
      /^AWS4-HMAC-SHA256 Credential=AK\/\d{8}\/r1\/execute-api\//,
    ],
  ])('%s', async (_, properties, auth, authorization) => {
    const server = await catalog({});
    await open(server, properties, auth);
    const header = server.requests[0]?.headers.authorization;
    if (authorization instanceof RegExp) expect(header).toMatch(authorization);
    else expect(header).toBe(authorization);
  });

  it.each<[string, Record<string, string>, Partial<ResolvedSpec['auth']>, RegExp]>([
    ['are unknown', {}, { scheme: 'kerberos' }, /"kerberos" is not supported.*none, bearer, oauth2 or sigv4/],
    ['lack a token', {}, { scheme: 'bearer' }, /needs a token/],
    ['lack a credential', {}, { scheme: 'oauth2' }, /needs a credential/],
    [
      'have half a key',
      { 'rest.signing-region': 'r' },
      { scheme: 'sigv4', secret: 'AK' },
      /ACCESS_KEY_ID:SECRET_ACCESS_KEY/,
    ],
  ])('that %s are refused', async (_, properties, auth, message) => {
    const server = await catalog({});
    await expect(open(server, properties, auth)).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringMatching(message),
    });
    expect(server.requests).toEqual([]);
  });

  it('with a token that HTTP does not allow are refused, without repeating the token', async () => {
    const server = await catalog({});
    const error = await open(server, {}, { scheme: 'bearer', secret: 'two\nlines-of-a-token' }).catch((e) => e);
    expect(error).toMatchObject({ code: 'INVALID_ARGUMENT', message: expect.stringContaining('line break') });
    expect(error.message).not.toContain('lines-of-a-token');
    expect(server.requests).toEqual([]);
  });

  it('include oauth2, which requests tokens from the catalog with its headers unless another server is set', async () => {
    const tokens: Responder = (request, response) => {
      const form = Object.fromEntries(new URLSearchParams(request.body));
      respondWithJson(response, { access_token: `for-${form.client_id}-${form.client_secret}`, token_type: 'bearer' });
    };
    const server = await catalog({ '/v1/oauth/tokens': tokens });
    await open(server, { 'header.X-Tenant': 'x' }, { secret: 'id:se:cret' });
    expect(server.requests.map(({ path, headers }) => [path, headers.authorization, headers['x-tenant']])).toEqual([
      ['/v1/oauth/tokens', undefined, 'x'],
      ['/v1/config', 'Bearer for-id-se:cret', 'x'],
    ]);
    const issuer = await catalog({ '/realm/token': tokens });
    const other = await catalog({});
    await open(
      other,
      { 'header.X-Tenant': 'x', 'oauth2-server-uri': `${issuer.url}/realm/token` },
      { scheme: 'OAuth', secret: 'only', properties: { 'client-id': 'me' } },
    );
    expect(issuer.requests.map(({ headers }) => headers['x-tenant'])).toEqual([undefined]);
    expect(other.requests[0]?.headers.authorization).toBe('Bearer for-me-only');
  });
});
