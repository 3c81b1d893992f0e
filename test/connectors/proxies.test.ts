import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { postWebhook } from '../../src/activities/alerts/post-webhook.ts';
import type { ConnectorSpec } from '../../src/connectors/connector-spec.ts';
import { openConnector } from '../../src/connectors/open-connector.ts';
import { stubEnv, unstubAllEnvs } from '../jest/stub-env.ts';
import { ACCESS, FakeS3 } from '../storage/fake-s3.ts';
import { atCorp, ForwardProxy } from '../storage/proxy/forward-proxy.ts';
import { type FakeServer, respondWithJson, startFakeServer } from './rest/fake-server.ts';
import { plainSpec } from './spec.ts';

let proxy: ForwardProxy;
const cleanUp: AsyncDisposable[] = [];
beforeEach(async () => {
  proxy = await ForwardProxy.start();
  cleanUp.push(proxy);
  for (const name of ['http_proxy', 'https_proxy', 'no_proxy']) {
    stubEnv(name, undefined);
    stubEnv(name.toUpperCase(), undefined);
  }
});
afterEach(async () => {
  for (const resource of cleanUp.splice(0).reverse()) await resource[Symbol.asyncDispose]();
  unstubAllEnvs();
});

async function serve(json: (path: string) => unknown, type = 'application/json'): Promise<FakeServer> {
  const server = await startFakeServer(({ path }, response) =>
    respondWithJson(response, json(path), 200, { 'content-type': type }),
  );
  cleanUp.push(server);
  return server;
}
const aws = (json: (path: string) => unknown) => serve(json, 'application/x-amz-json-1.1');

/** A catalog of one namespace, with a token endpoint. */
const catalog = () =>
  serve((path) => {
    if (path === '/v1/oauth/tokens') return { access_token: 'a-token', token_type: 'bearer' };
    return path.startsWith('/v1/config') ? { defaults: {}, overrides: {} } : { namespaces: [['n']] };
  });

/** Lists the namespaces of a connector. */
async function list(
  kind: ConnectorSpec['kind'],
  uri: string,
  properties: ConnectorSpec['properties'],
  auth: Partial<ConnectorSpec['auth']> = {},
): Promise<string[]> {
  const plain = plainSpec(kind, uri);
  await using connector = await openConnector({ ...plain, properties, auth: { ...plain.auth, ...auth } }, {});
  return (await connector.listNamespaces([], { size: 10 })).items.map((path) => path.join('.'));
}

const KEYS = { 'client.access-key-id': ACCESS.accessKeyId, 'client.secret-access-key': ACCESS.secretAccessKey };
const LISTING =
  '<?xml version="1.0"?><ListBucketResult><EncodingType>url</EncodingType><CommonPrefixes><Prefix>w%20h/n/</Prefix></CommonPrefixes></ListBucketResult>';

async function s3(): Promise<FakeS3> {
  const server = await FakeS3.start();
  cleanUp.push(server);
  server.answer = (_, response) => response.writeHead(200, { 'content-type': 'application/xml' }).end(LISTING);
  return server;
}

describe.each([
  ['HTTP_PROXY', 'environment'],
  ['rest.client.proxy.*', 'properties'],
])('%s', (_, from) => {
  /** The properties of a connector, with the proxy or without it. */
  function through(properties: Record<string, string> = {}): Record<string, string> {
    if (from === 'properties') {
      return {
        ...properties,
        'rest.client.proxy.hostname': '127.0.0.1',
        'rest.client.proxy.port': String(proxy.port),
        ...(proxy.credentials && {
          'rest.client.proxy.username': proxy.credentials.split(':')[0]!,
          'rest.client.proxy.password': 'env:PROXY_PASSWORD',
        }),
      };
    }
    stubEnv('HTTP_PROXY', proxy.credentials ? proxy.url.replace('//', `//${proxy.credentials}@`) : proxy.url);
    stubEnv('HTTPS_PROXY', process.env.HTTP_PROXY);
    return properties;
  }

  it('applies to catalogs and token endpoints', async () => {
    const server = await catalog();
    const tokens = await catalog();
    stubEnv('CREDENTIAL', 'id:client-secret');
    const oauth2 = { scheme: 'oauth2', secretRef: 'env:CREDENTIAL' };
    const properties = through({ 'oauth2-server-uri': `${atCorp(tokens.url, 'tokens')}/v1/oauth/tokens` });
    expect(await list('ICEBERG', atCorp(server.url, 'catalog'), properties, oauth2)).toEqual(['n']);
    expect(new Set(proxy.asked)).toEqual(
      new Set([
        `http tokens.corp.invalid:${new URL(tokens.url).port}`,
        `http catalog.corp.invalid:${new URL(server.url).port}`,
      ]),
    );
    expect(server.requests.map(({ path }) => path)).toContain('/v1/config');
  });

  it('applies to signed requests, whose paths and queries arrive as they were signed', async () => {
    const server = await s3();
    const endpoint = atCorp(server.url, 's3');
    const properties = through({
      ...KEYS,
      's3.endpoint': endpoint,
      's3.path-style-access': 'true',
      's3.region': 'eu-west-1',
    });
    expect(await list('ICEBERG', 's3://lake/w h', properties)).toEqual(['n']);
    expect(proxy.asked).toContain(`http s3.corp.invalid:${new URL(server.url).port}`);
    expect(server.seen.length).toBeGreaterThan(0);
  });

  it('applies to Glue, STS and Secrets Manager', async () => {
    const glue = await aws(() => ({ DatabaseList: [{ Name: 'n' }] }));
    const secrets = await aws(() => ({ SecretString: 'a-secret-id' }));
    const sts = await startFakeServer(
      (_, response) =>
        void response.writeHead(200, { 'content-type': 'text/xml' }).end(
          `<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><Credentials>
          <AccessKeyId>ASIAROLE</AccessKeyId><SecretAccessKey>role-secret</SecretAccessKey><SessionToken>role-session</SessionToken>
          <Expiration>${new Date(Date.now() + 3_600_000).toISOString()}</Expiration>
        </Credentials></AssumeRoleResult></AssumeRoleResponse>`,
        ),
    );
    cleanUp.push(sts);
    const properties = through({
      ...KEYS,
      'client.region': 'eu-west-1',
      'client.sts.endpoint': atCorp(sts.url, 'sts'),
      'client.assume-role.arn': 'arn:aws:iam::1:role/r',
      'client.assume-role.external-id': 'aws-secretsmanager:external',
      'secretsmanager.endpoint': atCorp(secrets.url, 'secrets'),
    });
    expect(await list('GLUE', atCorp(glue.url, 'glue'), properties)).toEqual(['n']);
    expect(glue.requests[0]?.headers.authorization).toContain('ASIAROLE');
    // The proxy is asked for them all; Secrets Manager is accessed with the same role.
    expect(new Set(proxy.asked.map((asked) => asked.replace(/:\d+$/, '')))).toEqual(
      new Set(['http glue.corp.invalid', 'http sts.corp.invalid', 'http secrets.corp.invalid']),
    );
  });

  it('applies to https, by tunnels', async () => {
    const targets = async (kind: 'ICEBERG' | 'GLUE', properties: Record<string, string>) => {
      proxy.asked.length = 0;
      // Nothing at the end of the tunnel speaks TLS.
      const server = await catalog();
      const url = atCorp(server.url, 'secure').replace('http:', 'https:');
      await expect(list(kind, url, through(properties))).rejects.toMatchObject({ code: 'FAILED_PRECONDITION' });
      expect(new Set(proxy.asked)).toEqual(new Set([`CONNECT ${new URL(url).host}`]));
    };
    await targets('ICEBERG', {});
    await targets('GLUE', { ...KEYS, 'client.region': 'eu-west-1' });
  });

  it('may have a user and a password', async () => {
    proxy.credentials = 'me:p-roxy-password';
    stubEnv('PROXY_PASSWORD', 'p-roxy-password');
    const server = await catalog();
    const uri = atCorp(server.url, 'catalog');
    expect(await list('ICEBERG', uri, through())).toEqual(['n']);
    expect(server.requests[0]?.headers).not.toHaveProperty('proxy-authorization');
    // The connector's properties and the environment are those of before, and the password is wrong now.
    const properties = through();
    proxy.credentials = 'me:another-password';
    for (const address of [uri, uri.replace('http:', 'https:')]) {
      const error = await list('ICEBERG', address, properties).catch((error) => error);
      expect(error).toMatchObject({
        code: 'FAILED_PRECONDITION',
        message: expect.stringMatching(/407.*rest\.client\.proxy\.username/),
      });
      expect(error.message).not.toContain('p-roxy-password');
    }
    const glue = await list('GLUE', uri, { ...properties, ...KEYS, 'client.region': 'eu-west-1' }).catch(
      (error) => error,
    );
    expect(glue).toMatchObject({ code: 'FAILED_PRECONDITION', message: expect.stringContaining('407') });
  });

  it('that cannot be reached is named', async () => {
    const properties = through();
    await proxy[Symbol.asyncDispose]();
    cleanUp.shift();
    for (const uri of ['http://catalog.corp.invalid', 'https://catalog.corp.invalid']) {
      await expect(list('ICEBERG', uri, properties)).rejects.toMatchObject({
        code: 'UNAVAILABLE',
        message: expect.stringContaining(`the proxy ${proxy.url} cannot be reached (ECONNREFUSED)`),
      });
    }
    await expect(
      list('GLUE', 'http://glue.corp.invalid', { ...properties, ...KEYS, 'client.region': 'eu-west-1' }),
    ).rejects.toMatchObject({ code: 'UNAVAILABLE', message: expect.stringContaining(`the proxy ${proxy.url} cannot`) });
  });

  it('does not apply to S3 and webhooks on this machine or in NO_PROXY', async () => {
    const server = await s3();
    const properties = through({ ...KEYS, 's3.endpoint': server.url, 's3.region': 'eu-west-1' });
    expect(await list('ICEBERG', 's3://lake/w h', properties)).toEqual(['n']);
    stubEnv('NO_PROXY', 'corp.invalid');
    const away = { ...properties, 's3.endpoint': atCorp(server.url, 's3'), 's3.path-style-access': 'true' };
    await expect(list('ICEBERG', 's3://lake/w h', away)).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    expect(proxy.asked).toEqual([]);
  });
});

it("applies a connector's own proxy to its catalog wherever that is, and never a proxy that the catalog names", async () => {
  const server = await catalog();
  const own = { 'rest.client.proxy.hostname': '127.0.0.1', 'rest.client.proxy.port': String(proxy.port) };
  expect(await list('ICEBERG', server.url, own)).toEqual(['n']);
  expect(new Set(proxy.asked)).toEqual(new Set([`http ${new URL(server.url).host}`]));
  proxy.asked.length = 0;
  const naming = await serve((path) =>
    path.startsWith('/v1/config') ? { defaults: {}, overrides: own } : { namespaces: [['n']] },
  );
  expect(await list('ICEBERG', naming.url, {})).toEqual(['n']);
  expect(proxy.asked).toEqual([]);
});

it('applies to webhooks', async () => {
  const receiver = await serve(() => ({}));
  const url = `${atCorp(receiver.url, 'hooks')}/planted?a=b`;
  const message = { url, id: 'msg_1', body: '{"größe":1}' };
  await expect(postWebhook(message)).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  stubEnv('HTTP_PROXY', proxy.url);
  stubEnv('HTTPS_PROXY', proxy.url);
  await postWebhook(message);
  stubEnv('HTTP_PROXY', undefined);
  await postWebhook({ ...message, proxy: { origin: proxy.url } });
  expect(receiver.requests.map(({ path, body }) => [path, body])).toEqual([
    ['/planted?a=b', message.body],
    ['/planted?a=b', message.body],
  ]);
  proxy.asked.length = 0;
  const error = await postWebhook({ ...message, url: url.replace('http:', 'https:') }).catch((error) => error);
  expect(error.code).toBe('UNAVAILABLE');
  expect(error.message).not.toContain('planted');
  expect(proxy.asked).toEqual([`CONNECT ${new URL(url).host}`]);
});
