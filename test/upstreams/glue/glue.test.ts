import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals';
import type { ResolvedSpec } from '../../../src/connectors/connector-spec.ts';
import { openGlueCatalog } from '../../../src/connectors/glue/glue-connector.ts';
import type { Page, PageRequest, TableEntry, UpstreamCatalog } from '../../../src/connectors/spi.ts';
import { fakeOnly } from '../../jest/fake-timers.ts';
import { stubEnv, unstubAllEnvs } from '../../jest/stub-env.ts';
import { type Moto, startMoto } from '../servers/moto.ts';
import { runPython } from '../servers/python.ts';
import { type Fault, type GlueProxy, startGlueProxy } from './glue-proxy.ts';

const SCRIPT = fileURLToPath(new URL('glue-tables.py', import.meta.url));
/** Iceberg tables in the database `many`; two Hive tables follow every third of them. */
const MANY = 200;

let moto: Moto;
let proxy: GlueProxy;

beforeAll(async () => {
  moto = await startMoto();
  proxy = await startGlueProxy(moto.url);
  await runPython(SCRIPT, [moto.url, 'make'], { env: moto.env });
  await runPython(SCRIPT, [moto.url, 'listed', String(MANY)], { env: moto.env });
});
afterAll(async () => {
  await proxy?.[Symbol.asyncDispose]();
  await moto?.stop();
});
beforeEach(() => {
  proxy.fault = undefined;
  proxy.mostItems = 100;
  proxy.forget();
  // AWS's own settings must not be found, unless a test sets them.
  for (const name of Object.keys(process.env).filter((key) => key.startsWith('AWS_'))) stubEnv(name, undefined);
});
afterEach(() => unstubAllEnvs());

const KEYS = () => ({
  'client.access-key-id': moto.access.accessKeyId,
  'client.secret-access-key': moto.access.secretAccessKey,
});

type More = Partial<Omit<ResolvedSpec, 'auth'>> & { auth?: Partial<ResolvedSpec['auth']> };

function spec(more: More = {}): ResolvedSpec {
  return {
    kind: 'GLUE',
    uri: proxy.url,
    ...more,
    properties: {
      'client.region': 'us-east-1',
      's3.endpoint': moto.url,
      'glue.formats': 'iceberg',
      ...KEYS(),
      ...more.properties,
    },
    auth: { scheme: '', headerHints: {}, properties: {}, ...more.auth },
  };
}

const open = (more: More = {}) => openGlueCatalog(spec(more), {});

async function all<T>(list: (page: PageRequest) => Promise<Page<T>>, size = 100): Promise<T[]> {
  const items: T[] = [];
  for (let token: string | undefined, first = true; first || token; first = false) {
    const page: Page<T> = await list({ size, token });
    expect(page.items.length).toBeLessThanOrEqual(size);
    items.push(...page.items);
    token = page.nextToken;
  }
  return items;
}

const names = (entries: TableEntry[]) => entries.map(({ name }) => name);
const many = (connector: UpstreamCatalog, size?: number) => all((page) => connector.listTables(['many'], page), size);

async function refused(work: Promise<unknown>) {
  return work.then(
    () => {
      throw new Error('it was not refused');
    },
    ({ code, message, retryAfterMs }) => ({ code, message, retryAfterMs }),
  );
}

describe('listing', () => {
  it('returns the databases, and nothing below them without a request', async () => {
    await using glue = await open();
    expect(await all((page) => glue.listNamespaces([], page))).toEqual([['sales'], ['ops'], ['empty'], ['many']]);
    expect(proxy.calls()).toEqual({ GetDatabases: 1 });
    expect(await glue.listNamespaces(['sales'], { size: 10 })).toEqual({ items: [] });
    expect(await glue.listTables([], { size: 10 })).toEqual({ items: [] });
    expect(proxy.requests).toHaveLength(1);
    expect(await refused(glue.listTables(['sales', 'below'], { size: 10 }))).toMatchObject({ code: 'NOT_FOUND' });
  });

  it('returns only Iceberg tables with their fingerprints, at one call per page', async () => {
    await using glue = await open();
    const tables = await all((page) => glue.listTables(['sales'], page));
    expect(names(tables).sort()).toEqual(['flat', 'items', 'orders']);
    expect(proxy.calls()).toEqual({ GetTables: 1 });
    for (const table of tables) expect(table.fingerprint).toBe(await glue.fingerprint(table));
    expect(proxy.calls()).toEqual({ GetTables: 1, GetTable: 3 });
    expect(glue.usage).toMatchObject({ requests: 4, bytes: expect.any(Number) });
  });

  it('costs one call per 100 Glue tables', async () => {
    await using glue = await open();
    const inGlue = MANY + 2 * Math.floor(MANY / 3);
    expect(await many(glue)).toHaveLength(MANY);
    expect(proxy.calls()).toEqual({ GetTables: Math.ceil(inGlue / 100) });
    expect(proxy.requests.map(({ body }) => body.MaxResults)).toEqual(proxy.requests.map(() => 100));
  });

  it('returns one table per page and skips tables of other formats', async () => {
    await using glue = await open();
    const found = names(await all((page) => glue.listTables(['sales'], page), 1));
    expect(found.sort()).toEqual(['flat', 'items', 'orders']);
  });

  it.each([17, 99])('returns each table once in pages of %d', async (size) => {
    await using glue = await open();
    const found = names(await many(glue, size));
    expect(found).toHaveLength(MANY);
    expect(new Set(found).size).toBe(MANY);
  });

  it('continues in another process', async () => {
    const found: string[] = [];
    let token: string | undefined;
    do {
      await using glue = await open();
      const page = await glue.listTables(['many'], { size: 30, token });
      found.push(...names(page.items));
      token = page.nextToken;
    } while (token !== undefined);
    await using glue = await open();
    expect(found).toEqual(names(await many(glue)));
  });

  it.each([false, true])('returns pages of databases (tokens expire between pages: %s)', async (ending) => {
    await using glue = await open();
    proxy.mostItems = 3;
    const found = await all(async (page) => {
      const answer = await glue.listNamespaces([], page);
      if (ending) proxy.endTokens();
      return answer;
    });
    expect(found).toEqual([['sales'], ['ops'], ['empty'], ['many']]);
    expect(proxy.calls().GetDatabases).toBeGreaterThanOrEqual(2);
  });

  it('finds its position again if Glue no longer accepts the token', async () => {
    await using glue = await open();
    const whole = names(await many(glue));
    // Glue may return fewer tables than requested.
    proxy.mostItems = 90;
    for (const size of [100, 33]) {
      const found: string[] = [];
      let token: string | undefined;
      do {
        const page = await glue.listTables(['many'], { size, token });
        found.push(...names(page.items));
        token = page.nextToken;
        proxy.endTokens();
      } while (token !== undefined);
      expect(found).toEqual(whole);
    }
  });

  it('lists a table without metadata_location, which cannot be opened', async () => {
    await using glue = await open();
    const table = { namespace: ['ops'], name: 'unregistered' };
    expect(await all((page) => glue.listTables(['ops'], page))).toContainEqual({ ...table, format: 'ICEBERG' });
    for (const work of [() => glue.fingerprint(table), () => glue.openTable(table)]) {
      const failure = await refused(work());
      expect(failure).toMatchObject({ code: 'FAILED_PRECONDITION' });
      expect(failure.message).toMatch(/ops\.unregistered .*metadata_location/);
    }
  });

  it('uses the catalog that glue.id names', async () => {
    await using glue = await open({ properties: { 'glue.id': '210987654321' } });
    await glue.listNamespaces([], { size: 10 });
    await glue.listTables(['sales'], { size: 10 }).catch(() => {});
    await glue.fingerprint({ namespace: ['sales'], name: 'orders' }).catch(() => {});
    expect(proxy.requests.map(({ body }) => body.CatalogId)).toEqual(Array(3).fill('210987654321'));
  });

  it('fails for a listed database that does not exist', async () => {
    await using glue = await open();
    proxy.fault = ({ action }) =>
      action === 'GetTables' ? { exception: 'EntityNotFoundException', message: 'Database ops not found.' } : undefined;
    await glue.listNamespaces([], { size: 10 });
    expect(await refused(glue.listTables(['ops'], { size: 10 }))).toMatchObject({ code: 'NOT_FOUND' });
  });

  it('fails on a page whose next page is that page itself', async () => {
    await using glue = await open();
    proxy.fault = () => ({ raw: '{"TableList":[],"NextToken":"x"}' });
    const { nextToken } = await glue.listTables(['sales'], { size: 10 });
    expect(await refused(glue.listTables(['sales'], { size: 10, token: nextToken }))).toMatchObject({
      code: 'FAILED_PRECONDITION',
      message: expect.stringContaining('whose next page is that page itself'),
    });
  });
});

describe('reading', () => {
  it('opens a table from s3:// and s3a://, and counts the requests to Glue and S3', async () => {
    await using glue = await open();
    for (const name of ['orders', 'flat']) {
      const before = { ...glue.usage };
      await using table = await glue.openTable({ namespace: ['sales'], name });
      expect(table.descriptor.fingerprint).toBe(await glue.fingerprint({ namespace: ['sales'], name }));
      let files = 0;
      for await (const { changes } of table.fileChanges(table.descriptor.currentSnapshotId!)) files += changes.length;
      expect(files).toBeGreaterThan(0);
      // Two GetTable, the metadata, the manifest list, and at least one manifest.
      expect(glue.usage.requests - before.requests).toBeGreaterThanOrEqual(5);
      expect(glue.usage.bytes - before.bytes).toBeGreaterThan(table.bytesRead);
    }
  });

  it('reads only the state of its fingerprint', async () => {
    await using glue = await open();
    await using table = await glue.openTable({ namespace: ['sales'], name: 'items' });
    expect(table.descriptor.metadataLocation).toBe(table.descriptor.fingerprint);
  });

  it('opens a table from the listing once, and not if the listing is old', async () => {
    await using glue = await open();
    const orders = { namespace: ['sales'], name: 'orders' };
    const opened = async () => {
      proxy.forget();
      await using table = await glue.openTable(orders);
      return [table.descriptor.fingerprint, proxy.calls()];
    };
    const { items } = await glue.listTables(['sales'], { size: 100 });
    const fingerprint = items.find(({ name }) => name === 'orders')?.fingerprint;
    expect(await opened()).toEqual([fingerprint, {}]);
    expect(await opened()).toEqual([fingerprint, { GetTable: 1 }]);
    await glue.fingerprint(orders);
    expect(await opened()).toEqual([fingerprint, {}]);
    await glue.listTables(['sales'], { size: 100 });
    fakeOnly(['Date'], { now: Date.now() + 301_000 });
    try {
      expect(await opened()).toEqual([fingerprint, { GetTable: 1 }]);
    } finally {
      jest.useRealTimers();
    }
  });

  it('requests a table again if its metadata file has been deleted since the listing', async () => {
    await using glue = await open();
    const orders = { namespace: ['sales'], name: 'orders' };
    const { location } = (await glue.openTable(orders)).descriptor;
    proxy.fault = ({ action }) =>
      action === 'GetTables'
        ? {
            raw: JSON.stringify({
              TableList: [
                {
                  Name: 'orders',
                  DatabaseName: 'sales',
                  StorageDescriptor: { Location: location },
                  Parameters: {
                    table_type: 'ICEBERG',
                    metadata_location: `${location}/metadata/removed.metadata.json`,
                  },
                },
              ],
            }),
          }
        : undefined;
    const { items } = await glue.listTables(['sales'], { size: 100 });
    expect(items[0]?.fingerprint).toContain('removed');
    await using table = await glue.openTable(orders);
    expect(table.descriptor.fingerprint).not.toContain('removed');
  });

  it('does not read files outside of the table', async () => {
    await using glue = await open();
    const stray = { namespace: ['ops'], name: 'stray' };
    await using table = await glue.openTable(stray);
    const read = async (opened: typeof table) => {
      for await (const _ of opened.fileChanges(opened.descriptor.currentSnapshotId!));
    };
    expect(await refused(read(table))).toMatchObject({
      code: 'PERMISSION_DENIED',
      message: expect.stringContaining('storage.allowed-locations'),
    });
    await using allowed = await open({ properties: { 'storage.allowed-locations': 's3://lake/warehouse' } });
    await using reader = await allowed.openTable(stray);
    await read(reader);
  });

  it.each([
    ['hive', 'neither an Iceberg nor a Delta table: it is "parquet"'],
    ['bare', 'neither an Iceberg nor a Delta table: it has no type'],
    ['a_view', 'neither an Iceberg nor a Delta table'],
  ])('names the type of %s', async (name, message) => {
    await using glue = await open();
    expect(await refused(glue.openTable({ namespace: ['sales'], name }))).toMatchObject({
      code: 'FAILED_PRECONDITION',
      message: expect.stringContaining(message),
    });
  });
});

describe('credentials and addresses', () => {
  const signedBy = () =>
    /Credential=([^/]+)\/\d+\/([^/]+)\/glue\//.exec(proxy.requests.at(-1)?.headers.authorization ?? '');
  const plain = { 'client.access-key-id': '', 'client.secret-access-key': '' };

  it.each([
    ['client.*', {}, 'AKIATESTACCESSKEY'],
    ['glue.*, before client.*', { 'glue.access-key-id': 'AKIAGLUE', 'glue.secret-access-key': 'x' }, 'AKIAGLUE'],
  ])('are %s', async (_, properties, id) => {
    await using glue = await open({ properties });
    await glue.listNamespaces([], { size: 10 });
    expect(signedBy()?.[1]).toBe(id);
  });

  it("are taken from the connector's secret", async () => {
    await using glue = await open({
      properties: plain,
      auth: { scheme: 'aws', secret: 'AKIASECRET:wJalrXUtnFEMI/K7MDENG:token' },
    });
    await glue.listNamespaces([], { size: 10 });
    expect(signedBy()?.[1]).toBe('AKIASECRET');
    expect(proxy.requests.at(-1)?.headers['x-amz-security-token']).toBe('token');
  });

  it("are taken from AWS's default chain", async () => {
    stubEnv('AWS_ACCESS_KEY_ID', 'AKIACHAIN');
    stubEnv('AWS_SECRET_ACCESS_KEY', 'x');
    stubEnv('AWS_REGION', 'eu-central-1');
    await using glue = await open({ properties: { ...plain, 'client.region': '' } });
    await glue.listNamespaces([], { size: 10 });
    expect(signedBy()?.slice(1, 3)).toEqual(['AKIACHAIN', 'eu-central-1']);
  });

  it('are those of a role', async () => {
    await using glue = await open({
      properties: {
        'client.assume-role.arn': 'arn:aws:iam::123456789012:role/reader',
        'client.sts.endpoint': moto.url,
      },
    });
    await glue.listNamespaces([], { size: 10 });
    // Keys of a role's session begin with ASIA, in moto as in AWS.
    expect(signedBy()?.[1]).toMatch(/^ASIA/);
    expect(proxy.requests.at(-1)?.headers['x-amz-security-token']).toBeTruthy();
  });

  it.each(['AWS_ENDPOINT_URL_GLUE', 'AWS_ENDPOINT_URL'])('%s sets the endpoint', async (variable) => {
    stubEnv(variable, proxy.url);
    await using glue = await open({ uri: 'glue://eu-west-3', properties: { 'client.region': '' } });
    await glue.listNamespaces([], { size: 10 });
    expect(signedBy()?.[2]).toBe('eu-west-3');
  });

  it('default to us-east-1 for an endpoint without a region, but not for AWS', async () => {
    await using glue = await open({ properties: { 'client.region': '' } });
    await glue.listNamespaces([], { size: 10 });
    expect(signedBy()?.[2]).toBe('us-east-1');
    expect(await refused(open({ uri: 'glue://', properties: { 'client.region': '' } }))).toMatchObject({
      code: 'FAILED_PRECONDITION',
      message: expect.stringMatching(/region/),
    });
  });

  it('include glue.endpoint, which takes precedence over the URI', async () => {
    await using glue = await open({ uri: 'http://127.0.0.1:1', properties: { 'glue.endpoint': proxy.url } });
    expect((await glue.listNamespaces([], { size: 10 })).items).toHaveLength(4);
  });
});

describe('failures', () => {
  const throttled = { exception: 'ThrottlingException', message: 'Rate exceeded' };

  it('that are transient are retried', async () => {
    await using glue = await open();
    proxy.fault = ({ nth }) => (nth <= 2 ? throttled : undefined);
    expect((await glue.listTables(['sales'], { size: 10 })).items).toHaveLength(3);
    expect(glue.usage.requests).toBe(3);
    proxy.forget();
    proxy.fault = ({ nth }) => (nth === 1 ? 'cut' : undefined);
    expect((await glue.listTables(['sales'], { size: 10 })).items).toHaveLength(3);
  });

  it('that request a long wait are left to the caller', async () => {
    await using glue = await open();
    proxy.fault = () => ({ ...throttled, status: 429, headers: { 'retry-after': '90' } });
    expect(await refused(glue.listTables(['sales'], { size: 10 }))).toMatchObject({
      code: 'RESOURCE_EXHAUSTED',
      retryAfterMs: 90_000,
    });
    expect(proxy.requests).toHaveLength(1);
  });

  it('pass the gate again with each attempt', async () => {
    let passed = 0;
    const gate = async () => {
      passed += 1;
    };
    await using glue = await openGlueCatalog(spec(), { gate });
    proxy.fault = ({ nth }) => (nth <= 2 ? throttled : undefined);
    expect((await glue.listTables(['sales'], { size: 10 })).items).toHaveLength(3);
    const { descriptor } = await glue.openTable({ namespace: ['sales'], name: 'orders' });
    expect(descriptor.format).toBe('ICEBERG');
    // Three attempts of the listing, and the metadata file from S3.
    expect([passed, glue.usage.requests]).toEqual([4, 4]);
  });

  it('ask the caller to wait if throttling continues', async () => {
    await using glue = await open();
    proxy.fault = () => throttled;
    expect(await refused(glue.listTables(['sales'], { size: 10 }))).toMatchObject({
      code: 'RESOURCE_EXHAUSTED',
      message: expect.stringMatching(/glue:GetTables on database sales .*Rate exceeded/),
      retryAfterMs: expect.any(Number),
    });
  });

  const denied =
    'User: arn:aws:iam::1:user/etl is not authorized to perform: glue:GetTables on resource: arn:aws:glue:us-east-1:1:database/sales';
  const canonical =
    'The request signature we calculated does not match. The Canonical String: x-amz-security-token:hunter2-token';

  it.each([
    [
      'AccessDeniedException',
      denied,
      'PERMISSION_DENIED',
      /glue:GetTables on database sales .*user\/etl is not authorized/,
    ],
    ['UnrecognizedClientException', 'The security token is invalid', 'UNAUTHENTICATED', /client\.access-key-id/],
    ['InvalidSignatureException', canonical, 'UNAUTHENTICATED', /does not match/],
    ['ExpiredTokenException', 'The security token has expired', 'UNAUTHENTICATED', /has expired/],
    ['EntityNotFoundException', 'Database sales not found.', 'NOT_FOUND', /Database sales not found/],
    ['InvalidInputException', 'Invalid catalog id', 'INVALID_ARGUMENT', /Invalid catalog id/],
    ['GlueEncryptionException', 'kms', 'PERMISSION_DENIED', /kms:Decrypt/],
    ['FederationSourceException', 'no such share', 'FAILED_PRECONDITION', /no such share/],
  ])('%s', async (exception, message, code, pattern) => {
    await using glue = await open({ properties: { ...KEYS(), 'client.session-token': 'hunter2-token' } });
    proxy.fault = () => ({ exception, message });
    const failure = await refused(glue.listTables(['sales'], { size: 10 }));
    expect(failure).toMatchObject({ code, message: expect.stringMatching(pattern) });
    expect(failure.message).toContain(proxy.url);
    expect(failure.message).not.toContain('hunter2');
    expect(failure.message).not.toContain(moto.access.secretAccessKey);
    // It is not retried.
    expect(proxy.requests).toHaveLength(1);
  });

  it.each([
    ['a page of HTML', { raw: '<html>login</html>', headers: { 'content-type': 'text/html' } }, 'FAILED_PRECONDITION'],
    ['a redirect', { raw: '', status: 302, headers: { location: 'http://127.0.0.1:1' } }, 'FAILED_PRECONDITION'],
    ['a 404 of another service', { raw: 'not found', status: 404 }, /NOT_FOUND|FAILED_PRECONDITION/],
    ['a server that fails', { exception: 'InternalServiceException', status: 500 }, 'UNAVAILABLE'],
    ['a response that is cut off', 'cut', 'UNAVAILABLE'],
  ] satisfies [string, Fault, string | RegExp][])('%s', async (_, fault, code) => {
    await using glue = await open();
    proxy.fault = () => fault;
    const failure = await refused(glue.listNamespaces([], { size: 10 }));
    expect(failure.code).toMatch(code);
    expect(failure.message).toContain(proxy.url);
  });

  it('include a missing server at the address', async () => {
    await using glue = await open({ uri: 'http://127.0.0.1:1' });
    expect(await refused(glue.listNamespaces([], { size: 10 }))).toMatchObject({
      code: 'UNAVAILABLE',
      message: expect.stringContaining('http://127.0.0.1:1'),
    });
  });

  it('include a server that hangs before or during its response', async () => {
    await using glue = await open();
    proxy.fault = ({ action }) => (action === 'GetTables' ? 'hang in the body' : 'hang');
    const page = { size: 10 };
    const failures = await Promise.all([glue.listNamespaces([], page), glue.listTables(['sales'], page)].map(refused));
    for (const { code, message } of failures) {
      expect(code).toBe('DEADLINE_EXCEEDED');
      expect(message).toContain(proxy.url);
    }
  });
});
