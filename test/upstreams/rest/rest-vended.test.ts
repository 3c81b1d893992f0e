import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { UpstreamCatalog } from '../../../src/connectors/spi.ts';
import { withoutSecrets } from '../../../src/secrets.ts';
import { CleanUp } from '../clean-up.ts';
import { changed, type FaultProxy, passOn, type Rule, startFaultProxy } from '../fault-proxy.ts';
import { type FixtureTable, fixtureTables, publishFixtures } from '../publish-fixtures.ts';
import { startIcebergRest } from '../servers/iceberg-rest.ts';
import { type Moto, startMoto } from '../servers/moto.ts';
import { open } from './rest-probes.ts';

/**
 * A real table on S3 behind Iceberg's REST server, which vends no credentials itself: a proxy in front of it adds credentials to its
 * responses, and a proxy in front of S3 accepts only these, and only until they expire.
 */

const cleanUp = new CleanUp();
let moto: Moto;
let server: string;
const TABLE = { namespace: ['fx'], name: 'many_snapshots' };
const PREFIX = 's3://lake/fixtures/iceberg/wh/fx/many_snapshots';

beforeAll(async () => {
  const folder = mkdtempSync(join(tmpdir(), 'reconciler-vended-'));
  cleanUp.defer(() => rmSync(folder, { recursive: true }));
  moto = cleanUp.use(await startMoto());
  await moto.createBucket('lake');
  const rest = cleanUp.use(await startIcebergRest({ warehouse: 's3://lake/warehouse', s3: moto }));
  const isTestTable = ({ path }: FixtureTable) => path.join('.') === 'fx.many_snapshots';
  await publishFixtures(rest.url, { folder, bucket: { moto, name: 'lake' } }, fixtureTables().filter(isTestTable));
  server = rest.url;
});
afterAll(() => cleanUp[Symbol.asyncDispose]());

const each: AsyncDisposable[] = [];
afterEach(async () => {
  for (const resource of each.splice(0).reverse()) await resource[Symbol.asyncDispose]();
});

interface Vending {
  /** Issues new credentials for a prefix. */
  credentials(prefix: string): { prefix: string; config: Record<string, string> };
  s3: FaultProxy;
  used: Set<string>;
}

/** A proxy of S3 that accepts only vended credentials that have not expired, with the matching session token. */
async function vending(seconds: number): Promise<Vending> {
  const issued = new Map<string, { token: string; endsAt: number }>();
  const used = new Set<string>();
  const s3 = await startFaultProxy(moto.url, [
    {
      path: /^/,
      async fault(exchange) {
        const { incoming, response } = exchange;
        const [, key = ''] = /Credential=([^/]+)\//.exec(incoming.headers.authorization ?? '') ?? [];
        const known = issued.get(key);
        const good = known && known.endsAt > Date.now() && incoming.headers['x-amz-security-token'] === known.token;
        used.add(key);
        if (!good) {
          const body = `<Error><Code>${known ? 'ExpiredToken' : 'InvalidAccessKeyId'}</Code><Message>refused</Message></Error>`;
          return void response.writeHead(known ? 400 : 403, { 'content-type': 'application/xml' }).end(body);
        }
        await passOn(moto.url)(exchange);
      },
    },
  ]);
  each.push(s3);
  let n = 0;
  return {
    s3,
    used,
    credentials(prefix) {
      n += 1;
      const [key, token, endsAt] = [
        `AKIAVENDED${n}`,
        `session-token-${n}-${Math.random()}`,
        Date.now() + seconds * 1000,
      ];
      issued.set(key, { token, endsAt });
      return {
        prefix,
        config: {
          's3.access-key-id': key,
          's3.secret-access-key': `the-secret-of-${n}`,
          's3.session-token': token,
          's3.session-token-expires-at-ms': String(endsAt),
        },
      };
    },
  };
}

async function connect(
  rules: Rule[],
  properties: Record<string, string>,
): Promise<{ catalog: FaultProxy; connector: UpstreamCatalog }> {
  const catalog = await startFaultProxy(server, rules);
  each.push(catalog);
  const connector = await open(catalog.url, {
    's3.path-style-access': 'true',
    's3.region': 'us-east-1',
    ...properties,
  });
  each.push(connector);
  return { catalog, connector };
}

async function readAll(connector: UpstreamCatalog, times = 1, pauseMs = 0): Promise<number> {
  await using reader = await connector.openTable(TABLE);
  let files = 0;
  for (let i = 0; i < times; i++) {
    for await (const { snapshotId } of reader.snapshots()) {
      for await (const { changes } of reader.fileChanges(snapshotId)) files += changes.length;
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
    }
  }
  return files / times;
}

const LOAD = /\/tables\/many_snapshots\?snapshots=/;
const CREDENTIALS = /\/tables\/many_snapshots\/credentials/;
/** 1 + 2 + … + 12: each snapshot has appended one file. */
const FILES = 78;

describe('vended credentials', () => {
  it('of loadTable give access to the files, the longest prefix first', async () => {
    const { credentials, s3, used } = await vending(3600);
    const { catalog, connector } = await connect(
      [
        {
          path: LOAD,
          fault: changed((json) => ({
            ...json,
            config: { 's3.endpoint': s3.url },
            'storage-credentials': [
              { prefix: 's3', config: { 's3.access-key-id': 'wrong', 's3.secret-access-key': 'wrong-secret' } },
              credentials(PREFIX),
            ],
          })),
        },
      ],
      { 's3.endpoint': 'http://127.0.0.1:9' },
    );
    expect(await readAll(connector)).toBe(FILES);
    expect([...used]).toEqual(['AKIAVENDED1']);
    expect(catalog.requests.filter(({ path }) => LOAD.test(path))).toHaveLength(1);
    expect(catalog.requests.at(-1)?.headers['x-iceberg-access-delegation']).toBe('vended-credentials');
    expect(withoutSecrets('x the-secret-of-1 y')).toBe('x *** y');
  });

  it("in the table's config, as in older catalogs, take precedence over the connector's own", async () => {
    const { credentials, s3, used } = await vending(3600);
    const { connector } = await connect(
      [
        {
          path: LOAD,
          fault: changed((json) => ({ ...json, config: { 's3.endpoint': s3.url, ...credentials('').config } })),
        },
      ],
      { 's3.access-key-id': 'own', 's3.secret-access-key': 'own-secret', 's3.session-token': 'own-token' },
    );
    expect(await readAll(connector)).toBe(FILES);
    expect([...used]).toEqual(['AKIAVENDED1']);
  });

  it('are renewed from the credentials endpoint before they expire, in the middle of a table', async () => {
    const { credentials, s3, used } = await vending(6);
    const { catalog, connector } = await connect(
      [
        {
          path: /\/v1\/config/,
          fault: changed((json) => ({ ...json, endpoints: [...(json.endpoints as string[]), ENDPOINT] })),
        },
        {
          path: LOAD,
          fault: changed((json) => ({
            ...json,
            config: { 's3.endpoint': s3.url },
            'storage-credentials': [credentials(PREFIX)],
          })),
        },
        {
          path: CREDENTIALS,
          fault: ({ response }) => {
            response.writeHead(200, { 'content-type': 'application/json' });
            response.end(JSON.stringify({ 'storage-credentials': [credentials(PREFIX)] }));
          },
        },
      ],
      {},
    );
    expect(await readAll(connector, 2, 450)).toBe(FILES);
    expect(used.size).toBeGreaterThanOrEqual(3);
    expect(catalog.requests.filter(({ path }) => CREDENTIALS.test(path)).length).toBe(used.size - 1);
    expect(catalog.requests.filter(({ path }) => LOAD.test(path))).toHaveLength(1);
  });

  it('are renewed by loading the table again if there is no such endpoint', async () => {
    const { credentials, s3, used } = await vending(6);
    const { catalog, connector } = await connect(
      [
        {
          path: LOAD,
          fault: changed((json) => ({ ...json, config: { 's3.endpoint': s3.url, ...credentials('').config } })),
        },
      ],
      {},
    );
    expect(await readAll(connector, 2, 450)).toBe(FILES);
    expect(used.size).toBeGreaterThanOrEqual(3);
    const loads = catalog.requests.filter(({ path }) => LOAD.test(path)).map(({ path }) => path.replace(/.*\?/, ''));
    expect(loads).toEqual(['snapshots=all', ...Array.from({ length: used.size - 1 }, () => 'snapshots=refs')]);
  });

  it('are requested from the endpoint if loadTable returns none', async () => {
    const { credentials, s3, used } = await vending(3600);
    const { connector } = await connect(
      [
        {
          path: /\/v1\/config/,
          fault: changed((json) => ({ ...json, endpoints: [...(json.endpoints as string[]), ENDPOINT] })),
        },
        {
          path: CREDENTIALS,
          fault: ({ response }) => {
            response.writeHead(200, { 'content-type': 'application/json' });
            response.end(JSON.stringify({ 'storage-credentials': [credentials('s3://lake/')] }));
          },
        },
      ],
      { 's3.endpoint': s3.url },
    );
    expect(await readAll(connector)).toBe(FILES);
    expect([...used]).toEqual(['AKIAVENDED1']);
  });

  it('cause an error if the catalog refuses to vend them', async () => {
    const { s3 } = await vending(3600);
    const { connector } = await connect(
      [
        {
          path: /\/v1\/config/,
          fault: changed((json) => ({ ...json, endpoints: [...(json.endpoints as string[]), ENDPOINT] })),
        },
        {
          path: CREDENTIALS,
          fault: ({ response }) => {
            response.writeHead(403, { 'content-type': 'application/json' });
            response.end(
              JSON.stringify({ error: { message: 'no data for you', type: 'ForbiddenException', code: 403 } }),
            );
          },
        },
      ],
      { 's3.endpoint': s3.url },
    );
    await expect(readAll(connector)).rejects.toMatchObject({
      code: 'FAILED_PRECONDITION',
      message: expect.stringMatching(/no data for you.*refuses to delegate access.*rest\.access-delegation=none/s),
    });
  });
});

it('reports that remote signing of S3 requests is not supported', async () => {
  const { connector } = await connect(
    [{ path: LOAD, fault: changed((json) => ({ ...json, config: { 's3.remote-signing-enabled': 'true' } })) }],
    { 's3.endpoint': moto.url },
  );
  await expect(readAll(connector)).rejects.toMatchObject({
    code: 'UNIMPLEMENTED',
    message: expect.stringContaining('s3.remote-signing-enabled'),
  });
  const ownKeys = {
    's3.access-key-id': 'any',
    's3.secret-access-key': 'any-secret',
    's3.remote-signing-enabled': 'false',
  };
  const { connector: another } = await connect(
    [{ path: LOAD, fault: changed((json) => ({ ...json, config: { 's3.remote-signing-enabled': 'true' } })) }],
    { 's3.endpoint': moto.url, ...ownKeys },
  );
  expect(await readAll(another)).toBe(FILES);
});

const ENDPOINT = 'GET /v1/{prefix}/namespaces/{namespace}/tables/{table}/credentials';
