import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { ConnectorSpec } from '../../src/connectors/connector-spec.ts';
import { openConnector } from '../../src/connectors/open-connector.ts';
import type { UpstreamCatalog } from '../../src/connectors/spi.ts';
import { stubEnv, unstubAllEnvs } from '../jest/stub-env.ts';
import { FakeS3 } from '../storage/fake-s3.ts';
import { type FakeServer, type ReceivedRequest, respondWithJson, startFakeServer } from './rest/fake-server.ts';
import { oauthServer } from './rest/oauth-server.ts';
import { plainSpec } from './spec.ts';

let folder: string;
const cleanUp: AsyncDisposable[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'rotation-'));
  // The tests ignore the machine's own AWS settings.
  for (const name of Object.keys(process.env)) if (name.startsWith('AWS_')) stubEnv(name, undefined);
  stubEnv('AWS_EC2_METADATA_DISABLED', 'true');
  stubEnv('AWS_CONFIG_FILE', join(folder, 'config'));
  stubEnv('AWS_SHARED_CREDENTIALS_FILE', join(folder, 'credentials'));
});
afterEach(async () => {
  for (const resource of cleanUp.splice(0).reverse()) await resource[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
  unstubAllEnvs();
});

/** Writes a mounted secret. @returns the reference to it */
function secretFile(value: string, name = 'secret'): string {
  writeFileSync(join(folder, name), value);
  return `file:${join(folder, name)}`;
}

/** Writes the worker's shared credentials file, as a tool that renews keys does: without an expiry. */
function workerKeys(id: string, secret = `secret-of-${id}`): void {
  const lines = ['[default]', `aws_access_key_id = ${id}`, `aws_secret_access_key = ${secret}`, ''];
  writeFileSync(join(folder, 'credentials'), lines.join('\n'));
}

const keyIn = ({ headers }: Pick<ReceivedRequest, 'headers'>) =>
  /Credential=([^/]+)/.exec(headers.authorization ?? '')?.[1];

interface Server extends FakeServer {
  /** How many requests were refused. */
  refusals: number;
}

/** A REST catalog without namespaces that lets in what `isValid` does. */
async function catalog(
  isValid: (request: ReceivedRequest) => boolean,
  refuse: Parameters<typeof respondWithJson> extends [unknown, ...infer More] ? More : never = [{}, 401],
): Promise<Server> {
  const server: Server = Object.assign(
    await startFakeServer((request, response) => {
      if (!isValid(request)) {
        server.refusals++;
        return respondWithJson(response, ...refuse);
      }
      const isConfig = request.path.startsWith('/v1/config');
      respondWithJson(response, isConfig ? { defaults: {}, overrides: {} } : { namespaces: [['n']] });
    }),
    { refusals: 0 },
  );
  cleanUp.push(server);
  return server;
}

async function open(
  kind: ConnectorSpec['kind'],
  uri: string,
  properties: ConnectorSpec['properties'],
  auth: Partial<ConnectorSpec['auth']> = {},
): Promise<UpstreamCatalog> {
  const plain = plainSpec(kind, uri);
  const connector = await openConnector({ ...plain, properties, auth: { ...plain.auth, ...auth } }, {});
  cleanUp.push(connector);
  return connector;
}

const namespaces = async (connector: UpstreamCatalog) =>
  (await connector.listNamespaces([], { size: 10 })).items.map((path) => path.join('.'));

describe('a REST catalog', () => {
  it.each([401, 403, 419])('that refuses an old token with %i gets the one that the file has now', async (status) => {
    let valid = 'first-token';
    const server = await catalog(({ headers }) => headers.authorization === `Bearer ${valid}`, [{}, status]);
    const connector = await open('ICEBERG', server.url, {}, { scheme: 'bearer', secretRef: secretFile(valid) });
    expect(await namespaces(connector)).toEqual(['n']);
    valid = 'second-token';
    secretFile(valid);
    expect(await Promise.all([namespaces(connector), namespaces(connector)])).toEqual([['n'], ['n']]);
    expect(await namespaces(connector)).toEqual(['n']);
    expect(server.refusals).toBeLessThanOrEqual(2);
  });

  it('that refuses a token which has not changed is not asked again', async () => {
    let isValid = true;
    const server = await catalog(() => isValid);
    const connector = await open('ICEBERG', server.url, {}, { scheme: 'bearer', secretRef: secretFile('a-token') });
    isValid = false;
    await expect(namespaces(connector)).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
    await expect(namespaces(connector)).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
    expect(server.refusals).toBe(2);
  });

  it('gets a header whose secret has changed', async () => {
    let valid = 'first-key';
    const server = await catalog(({ headers }) => headers['x-api-key'] === valid);
    const connector = await open('ICEBERG', server.url, { 'header.x-api-key': secretFile(valid) });
    valid = 'second-key';
    secretFile(valid);
    expect(await namespaces(connector)).toEqual(['n']);
  });

  it('gets tokens with the client secret that the file has now', async () => {
    const rules = { clientId: 'id', clientSecret: 'first-secret', scope: 'catalog', seconds: 3600, exchange: false };
    const tokens = await oauthServer(rules);
    cleanUp.push(tokens);
    const server = await catalog(({ headers }) => tokens.fault(headers) === undefined);
    const connector = await open(
      'ICEBERG',
      server.url,
      { 'oauth2-server-uri': `${tokens.url}/tokens` },
      { scheme: 'oauth2', secretRef: secretFile('id:first-secret') },
    );
    expect(await namespaces(connector)).toEqual(['n']);
    // Only the secret has changed: the token is valid until it is revoked.
    rules.clientSecret = 'second-secret';
    secretFile('id:second-secret');
    expect(await namespaces(connector)).toEqual(['n']);
    tokens.revoke();
    expect(await namespaces(connector)).toEqual(['n']);
    expect(tokens.grants.at(-1)?.status).toBe(200);
  });

  it("whose requests are signed gets the worker's keys of now, whatever the refusal looks like", async () => {
    for (const refuse of [
      [{ message: 'The security token included in the request is expired' }, 403],
      [{ __type: 'com.amazon.coral.service#ExpiredTokenException', message: 'expired' }, 400],
      [{ error: { message: 'no', type: 'InvalidAccessKeyId', code: 400 } }, 400],
    ] as [object, number][]) {
      let valid = 'AKIAFIRST';
      workerKeys(valid);
      const server = await catalog((request) => keyIn(request) === valid, refuse);
      const connector = await open('ICEBERG', server.url, { 'client.region': 'eu-west-1' }, { scheme: 'sigv4' });
      expect(await namespaces(connector)).toEqual(['n']);
      valid = 'AKIASECOND';
      workerKeys(valid);
      expect(await namespaces(connector)).toEqual(['n']);
    }
  });
});

describe('S3', () => {
  const listing = `<?xml version="1.0"?><ListBucketResult><EncodingType>url</EncodingType><CommonPrefixes><Prefix>wh/n/</Prefix></CommonPrefixes></ListBucketResult>`;

  async function s3(secrets: Record<string, string>): Promise<FakeS3> {
    const server = await FakeS3.start();
    cleanUp.push(server);
    server.answer = (_, response) => response.writeHead(200, { 'content-type': 'application/xml' }).end(listing);
    replace(server, secrets);
    return server;
  }
  const replace = (server: FakeS3, secrets: Record<string, string>) => {
    server.secrets.clear();
    for (const [id, secret] of Object.entries(secrets)) server.secrets.set(id, secret);
  };

  it("is read with the keys that the worker's file has now, and a new upstream does not try the old ones", async () => {
    workerKeys('AKIAFIRST');
    const server = await s3({ AKIAFIRST: 'secret-of-AKIAFIRST' });
    const properties = { 's3.endpoint': server.url, 's3.region': 'us-east-1' };
    const connector = await open('ICEBERG', 's3://lake/wh', properties);
    await connector.listNamespaces([], { size: 1 });
    workerKeys('AKIASECOND');
    replace(server, { AKIASECOND: 'secret-of-AKIASECOND' });
    await connector.listNamespaces([], { size: 1 });
    workerKeys('AKIATHIRD');
    replace(server, { AKIATHIRD: 'secret-of-AKIATHIRD', AKIASECOND: 'secret-of-AKIASECOND' });
    server.seen.length = 0;
    await (await open('ICEBERG', 's3://lake/wh', properties)).listNamespaces([], { size: 1 });
    expect(new Set(server.seen.map(keyIn))).toEqual(new Set(['AKIATHIRD']));
  });

  it("is read with the connector's own keys as their references have them now", async () => {
    const server = await s3({ AKIAONE: 'the-first-secret' });
    const connector = await open('ICEBERG', 's3://lake/wh', {
      's3.endpoint': server.url,
      's3.region': 'us-east-1',
      's3.access-key-id': 'AKIAONE',
      's3.secret-access-key': secretFile('the-first-secret'),
    });
    await connector.listNamespaces([], { size: 1 });
    // A new secret of the same key: SignatureDoesNotMatch.
    secretFile('the-second-secret');
    replace(server, { AKIAONE: 'the-second-secret' });
    await connector.listNamespaces([], { size: 1 });
    server.seen.length = 0;
    replace(server, { AKIAONE: 'the-third-secret' });
    await expect(connector.listNamespaces([], { size: 1 })).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
    const tried = server.seen.length;
    await expect(connector.listNamespaces([], { size: 1 })).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
    expect(server.seen.length).toBe(2 * tried);
  });
});

it('Glue is called with the keys that the file of the worker has now', async () => {
  workerKeys('AKIAFIRST');
  let valid = 'AKIAFIRST';
  const keys: (string | undefined)[] = [];
  const server = await startFakeServer((request, response) => {
    keys.push(keyIn(request));
    const isValid = keyIn(request) === valid;
    const error = { __type: 'UnrecognizedClientException', message: 'The security token is invalid.' };
    const headers = { 'content-type': 'application/x-amz-json-1.1' };
    respondWithJson(response, isValid ? { DatabaseList: [{ Name: 'n' }] } : error, isValid ? 200 : 400, headers);
  });
  cleanUp.push(server);
  const connector = await open('GLUE', server.url, { 'client.region': 'eu-west-1' });
  expect(await namespaces(connector)).toEqual(['n']);
  valid = 'AKIASECOND';
  workerKeys(valid);
  expect(await namespaces(connector)).toEqual(['n']);
  expect(keys).toEqual(['AKIAFIRST', 'AKIAFIRST', 'AKIASECOND']);
});

it("a secret of Secrets Manager is read again, and with the worker's keys of now", async () => {
  workerKeys('AKIAFIRST');
  let [validKey, secret] = ['AKIAFIRST', 'first-token'];
  const manager = await startFakeServer((request, response) => {
    const headers = { 'content-type': 'application/x-amz-json-1.1' };
    if (keyIn(request) === validKey) return respondWithJson(response, { SecretString: secret }, 200, headers);
    respondWithJson(response, { __type: 'UnrecognizedClientException', message: 'no' }, 400, headers);
  });
  cleanUp.push(manager);
  const server = await catalog(({ headers }) => headers.authorization === `Bearer ${secret}`);
  const connector = await open(
    'ICEBERG',
    server.url,
    { 'client.region': 'eu-west-1', 'secretsmanager.endpoint': manager.url },
    { scheme: 'bearer', secretRef: 'aws-secretsmanager:catalog' },
  );
  expect(await namespaces(connector)).toEqual(['n']);
  [validKey, secret] = ['AKIASECOND', 'second-token'];
  workerKeys(validKey);
  expect(await namespaces(connector)).toEqual(['n']);
});
