import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { ResolvedSpec } from '../../../src/connectors/connector-spec.ts';
import { openRestCatalog } from '../../../src/connectors/rest/rest-connector.ts';
import type { UpstreamCatalog } from '../../../src/connectors/spi.ts';
import { type OAuthServer, oauthServer } from '../../connectors/rest/oauth-server.ts';
import { sigV4Fault } from '../../connectors/rest/sigv4-verifier.ts';
import { CleanUp } from '../clean-up.ts';
import { type Exchange, type FaultProxy, passOn, startFaultProxy } from '../fault-proxy.ts';
import { type FixtureTable, fixtureTables, publishFixtures } from '../publish-fixtures.ts';
import { startIcebergRest } from '../servers/iceberg-rest.ts';

/** Reads a whole real table through a proxy in front of Iceberg's REST server that forwards only correctly authenticated requests. */

const cleanUp = new CleanUp();
const each: AsyncDisposable[] = [];
let server: string;
const TABLE = { namespace: ['fx'], name: 'many_snapshots' };

beforeAll(async () => {
  const folder = mkdtempSync(join(tmpdir(), 'reconciler-auth-'));
  cleanUp.defer(() => rmSync(folder, { recursive: true }));
  const rest = cleanUp.use(await startIcebergRest({ warehouse: `file://${folder}/warehouse` }));
  const isTestTable = ({ path }: FixtureTable) => path.join('.') === 'fx.many_snapshots';
  await publishFixtures(rest.url, { folder }, fixtureTables().filter(isTestTable));
  server = rest.url;
});
afterAll(() => cleanUp[Symbol.asyncDispose]());
afterEach(async () => {
  for (const resource of each.splice(0).reverse()) await resource[Symbol.asyncDispose]();
});

/** @param faultOf returns what is wrong with a request, which becomes the message of a 401; undefined if nothing is wrong */
async function guarded(faultOf: (exchange: Exchange) => string | undefined): Promise<FaultProxy> {
  const proxy = await startFaultProxy(server, [
    {
      path: /^/,
      async fault(exchange) {
        const { response } = exchange;
        const fault = faultOf(exchange);
        if (fault === undefined) return passOn(server)(exchange);
        const body = JSON.stringify({ error: { message: fault, type: 'NotAuthorizedException', code: 401 } });
        response.writeHead(401, { 'content-type': 'application/json' }).end(body);
      },
    },
  ]);
  each.push(proxy);
  return proxy;
}

async function open(
  uri: string,
  properties: Record<string, string>,
  auth: Partial<ResolvedSpec['auth']>,
): Promise<UpstreamCatalog> {
  const spec = {
    kind: 'ICEBERG' as const,
    uri,
    properties,
    auth: { scheme: '', headerHints: {}, properties: {}, ...auth },
  };
  const connector = await openRestCatalog(spec, {});
  each.push(connector);
  return connector;
}

/** Lists the tables, and fingerprints, opens and reads one. */
async function readAll(connector: UpstreamCatalog): Promise<number> {
  expect(await connector.listNamespaces([], { size: 10 })).toEqual({ items: [['fx']] });
  expect((await connector.listTables(['fx'], { size: 10 })).items).toEqual([{ ...TABLE, format: 'ICEBERG' }]);
  await using reader = await connector.openTable(TABLE);
  const { fingerprint } = reader.descriptor;
  expect(await connector.fingerprint(TABLE, fingerprint)).toBe(fingerprint);
  let files = 0;
  for await (const { snapshotId, parentSnapshotId } of reader.snapshots()) {
    for await (const { changes } of reader.fileChanges(snapshotId, { base: parentSnapshotId })) files += changes.length;
  }
  return files;
}

describe('OAuth2', () => {
  const rules = {
    clientId: 'reconciler',
    clientSecret: 's3cr:t/%+ é',
    scope: 'lake.read',
    parameters: { audience: 'lake' },
  };
  const auth = {
    scheme: 'OAuth2',
    secret: `${rules.clientId}:${rules.clientSecret}`,
    properties: { scope: 'lake.read', audience: 'lake' },
  };

  async function issuer(more: { seconds: number; exchange: boolean }): Promise<OAuthServer> {
    const tokens = await oauthServer({ ...rules, ...more });
    each.push(tokens);
    return tokens;
  }

  it('reads a table with tokens by client credentials', async () => {
    const tokens = await issuer({ seconds: 3600, exchange: false });
    const proxy = await guarded(({ incoming }) => tokens.fault(incoming.headers));
    expect(await readAll(await open(proxy.url, { 'oauth2-server-uri': `${tokens.url}/tokens` }, auth))).toBe(12);
    expect(tokens.grants).toEqual([{ grant: 'client_credentials', status: 200 }]);
  });

  it.each([
    ['exchanged', true, 'exchange'],
    ['requested again', false, 'client_credentials'],
  ])('continues with tokens that live for seconds, each %s', async (_, exchange, grant) => {
    const tokens = await issuer({ seconds: 2, exchange });
    const proxy = await guarded(({ incoming }) => tokens.fault(incoming.headers));
    const properties = { 'oauth2-server-uri': `${tokens.url}/tokens`, 'token-exchange-enabled': String(exchange) };
    const connector = await open(proxy.url, properties, auth);
    const renewals = () =>
      tokens.grants.slice(1).filter((grantLog) => grantLog.grant === grant && grantLog.status === 200).length;
    while (renewals() < 3) await connector.fingerprint(TABLE);
    expect(await readAll(connector)).toBe(12);
  });

  it('renews a token that is refused in the middle of a run', async () => {
    const tokens = await issuer({ seconds: 3600, exchange: false });
    let requests = 0;
    const proxy = await guarded(({ incoming }) => {
      requests += 1;
      if (requests === 3) tokens.revoke();
      return tokens.fault(incoming.headers);
    });
    expect(await readAll(await open(proxy.url, { 'oauth2-server-uri': `${tokens.url}/tokens` }, auth))).toBe(12);
    expect(tokens.grants).toHaveLength(2);
  });

  it('reports a wrong secret', async () => {
    const tokens = await issuer({ seconds: 3600, exchange: false });
    const proxy = await guarded(({ incoming }) => tokens.fault(incoming.headers));
    const error = await open(
      proxy.url,
      { 'oauth2-server-uri': `${tokens.url}/tokens` },
      { ...auth, secret: 'reconciler:wr0ng-one' },
    ).catch((e) => e);
    expect(error).toMatchObject({ code: 'UNAUTHENTICATED', message: expect.stringContaining('invalid_client') });
    expect(error.message).not.toContain('wr0ng-one');
    expect(proxy.requests).toEqual([]);
  });
});

describe('SigV4', () => {
  const expected = {
    accessKeyId: 'AKIAIOSFODNN7EXAMPLE',
    secretAccessKey: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY',
    region: 'eu-central-1',
    service: 'glue',
  };
  const properties = {
    'rest.sigv4-enabled': 'true',
    'rest.signing-name': 'glue',
    'rest.signing-region': 'eu-central-1',
    'rest.access-key-id': expected.accessKeyId,
    'rest.secret-access-key': expected.secretAccessKey,
  };
  const verifier = (expectedSignature: Parameters<typeof sigV4Fault>[1]) =>
    guarded(({ incoming, body }) =>
      sigV4Fault(
        {
          method: incoming.method ?? '',
          path: incoming.url ?? '',
          headers: incoming.headers,
          body: body.toString('utf8'),
        },
        expectedSignature,
        new Date(),
      ),
    );

  it.each<[string, object, object]>([
    ['keys', {}, {}],
    ['a session', { 'rest.session-token': 'the/session+token==' }, { sessionToken: 'the/session+token==' }],
  ])('reads a table with %s', async (_, more, differing) => {
    const proxy = await verifier({ ...expected, ...differing });
    expect(await readAll(await open(proxy.url, { ...properties, ...more }, {}))).toBe(12);
    expect(proxy.requests.length).toBeGreaterThan(4);
  });

  it.each<[string, Record<string, string>]>([
    ['another secret', { 'rest.secret-access-key': 'another-secret' }],
    ['another region', { 'rest.signing-region': 'us-east-1' }],
    ['the default service', { 'rest.signing-name': '' }],
  ])('is refused with %s', async (_, wrong) => {
    const proxy = await verifier(expected);
    await expect(open(proxy.url, { ...properties, ...wrong }, {})).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
  });
});

describe('a bearer token', () => {
  it('reads a table, and is reported if it is wrong', async () => {
    const proxy = await guarded(({ incoming }) =>
      incoming.headers.authorization === 'Bearer right-token' ? undefined : 'unknown token',
    );
    expect(await readAll(await open(proxy.url, {}, { scheme: 'bearer', secret: 'right-token' }))).toBe(12);
    await expect(open(proxy.url, {}, { scheme: 'bearer', secret: 'wrong-token' })).rejects.toMatchObject({
      code: 'UNAUTHENTICATED',
      message: expect.stringContaining('unknown token'),
    });
  });
});
