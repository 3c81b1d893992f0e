import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { CreateSecretCommand, SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { openConnector } from '../../../src/connectors/open-connector.ts';
import { resolveSecrets } from '../../../src/connectors/resolve-secrets.ts';
import type { UpstreamCatalog } from '../../../src/connectors/spi.ts';
import type { SnapshotDescriptor, TableReader } from '../../../src/formats/table-reader.ts';
import { withoutSecrets } from '../../../src/secrets.ts';
import { openStore } from '../../../src/storage/open-store.ts';
import { plainSpec } from '../../connectors/spec.ts';
import { apply, changesOf, fixtures, openFixture, truths } from '../../formats/iceberg/fixtures.ts';
import { stubEnv, unstubAllEnvs } from '../../jest/stub-env.ts';
import { type Moto, startMoto } from '../servers/moto.ts';

let moto: Moto;
let properties: Record<string, string>;

beforeAll(async () => {
  moto = await startMoto();
  properties = {
    's3.endpoint': moto.url,
    's3.path-style-access': 'true',
    'client.region': moto.access.region,
    'client.access-key-id': moto.access.accessKeyId,
    'client.secret-access-key': moto.access.secretAccessKey,
  };
  await moto.createBucket('lake');
  for (const path of readdirSync(fixtures, { recursive: true, encoding: 'utf8' })) {
    if (!/^(wh|fs)\//.test(path) || !statSync(join(fixtures, path)).isFile()) continue;
    await moto.putObject('lake', `ware house/${path}`, readFileSync(join(fixtures, path)));
  }
});
afterAll(async () => moto?.[Symbol.asyncDispose]());
afterEach(() => unstubAllEnvs());

const open = (uri: string, more: Record<string, string> = {}): Promise<UpstreamCatalog> =>
  openConnector({ ...plainSpec('ICEBERG', uri), properties: { ...properties, ...more } }, { localRoots: [] });

describe('a warehouse folder on S3', () => {
  it('has the same namespaces and tables as on disk', async () => {
    const connector = await open('s3a://lake/ware house/wh/');
    const all = { size: 1_000 };
    expect((await connector.listNamespaces([], all)).items).toEqual([['bad'], ['fx']]);
    const names = async (size: number) => {
      const found: string[] = [];
      for (let token: string | undefined, page = 0; page === 0 || token !== undefined; page++) {
        const { items, nextToken } = await connector.listTables(['fx'], { size, token });
        found.push(...items.map(({ name }) => name));
        token = nextToken;
      }
      return found;
    };
    const expected = readdirSync(`${fixtures}wh/fx`).sort();
    expect(await names(1_000)).toEqual(expected);
    expect(await names(4)).toEqual(expected);
    expect(connector.usage.requests).toBeGreaterThan(expected.length);
    expect(connector.usage.bytes).toBeGreaterThan(1_000);
  });

  const healthy = truths().filter(([, truth]) => truth.corrupted === undefined);
  it.each(healthy.map(([name]) => name))('has %s as on disk, whether it was moved or not', async (name) => {
    const [warehouse = '', namespace = '', table = ''] = name.split('.');
    const connector = await open(`s3://lake/ware house/${warehouse}`);
    const reader = await connector.openTable({ namespace: [namespace], name: table });
    const local = await openFixture(name);
    const { metadataLocation, fingerprint, ...descriptor } = reader.descriptor;
    const { metadataLocation: at, fingerprint: _, ...expected } = local.descriptor;
    expect(descriptor).toEqual(expected);
    expect(metadataLocation.replace('s3://lake/ware house/', fixtures)).toBe(at);
    const snapshots = await snapshotsOf(reader);
    expect(snapshots).toEqual(await snapshotsOf(local));
    for (const { snapshotId } of snapshots) {
      const files = apply(new Map(), await changesOf(reader, snapshotId));
      expect(files).toEqual(apply(new Map(), await changesOf(local, snapshotId)));
    }
    expect(await connector.fingerprint({ namespace: [namespace], name: table }, fingerprint)).toBe(fingerprint);
  });

  it('changes the fingerprint if a metadata file of the same name has been replaced', async () => {
    const connector = await open('s3://lake/ware house/fs');
    const table = { namespace: ['db1'], name: 'plain' };
    const first = await connector.fingerprint(table);
    const key = 'ware house/fs/db1/plain/metadata/v4.metadata.json';
    const content = readFileSync(`${fixtures}fs/db1/plain/metadata/v4.metadata.json`);
    await moto.putObject('lake', key, Buffer.from(`${content} `));
    const second = await connector.fingerprint(table);
    expect(second).not.toBe(first);
    await moto.putObject('lake', key, content);
  });

  it('names what is wrong with a URI', async () => {
    await expect(open('s3://lake/ware house/nothing')).rejects.toMatchObject({
      code: 'NOT_FOUND',
      message: expect.stringMatching(/^connector URI s3:.*nothing: .*no such folder.*Use the folder of a warehouse/),
    });
    await expect(open('s3://nobody')).rejects.toMatchObject({
      code: 'NOT_FOUND',
      message: expect.stringContaining('no bucket nobody'),
    });
    await expect(open('s3://lake/ware house/wh/fx/orders')).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringContaining('is an Iceberg table'),
    });
    await expect(open('s3://lake/ware house/wh/fx/orders/metadata/version-hint.text')).rejects.toMatchObject({
      code: expect.stringMatching(/^(INVALID_ARGUMENT|NOT_FOUND)$/),
    });
  });

  it('reads no files outside of a table that its metadata names, unless they are allowed', async () => {
    const folder = `${fixtures}wh/fx/orders/metadata`;
    const newest = readdirSync(folder)
      .filter((name) => name.endsWith('.metadata.json'))
      .sort()
      .at(-1)!;
    const metadata = readFileSync(join(folder, newest), 'utf8');
    // This table is in another location, and its metadata names the snapshots of a foreign table.
    const hostile = metadata
      .replaceAll(
        /"(file:)?(\/\/)?\/lake\/fixtures\/iceberg\/wh\/fx\/orders\/metadata\/snap-/g,
        '"s3://lake/ware house/wh/fx/orders/metadata/snap-',
      )
      .replace(/"location"\s*:\s*"[^"]*"/, '"location": "s3://lake/evil/db/t"');
    expect(hostile).not.toBe(metadata);
    await moto.putObject('lake', 'evil/db/t/metadata/v1.metadata.json', Buffer.from(hostile));
    const read = async (more: Record<string, string> = {}) => {
      const reader = await (await open('s3://lake/evil', more)).openTable({ namespace: ['db'], name: 't' });
      return changesOf(reader, reader.descriptor.currentSnapshotId!);
    };
    await expect(read()).rejects.toMatchObject({
      code: 'PERMISSION_DENIED',
      message: expect.stringMatching(/snap-.* is outside .*s3:\/\/lake\/evil\/db\/t.*storage\.allowed-locations/),
    });
    // The paths of the manifests are local files, which are refused separately.
    await expect(read({ 'storage.allowed-locations': 's3a://lake/ware house/wh/fx/orders/' })).rejects.toMatchObject({
      code: 'PERMISSION_DENIED',
      message: expect.stringMatching(/^\S*\/lake\/fixtures\/.* is outside/),
    });
    await expect(
      read({ 'storage.allowed-locations': 's3a://lake/ware house/wh/fx/orders/, /lake/fixtures' }),
    ).rejects.toMatchObject({ code: 'PERMISSION_DENIED', message: expect.stringContaining('RECONCILER_LOCAL_ROOTS') });
  });
});

describe('credentials', () => {
  const usage = { requests: 0, bytes: 0 };
  const hint = 's3://lake/ware house/fs/db1/plain/metadata/version-hint.text';
  const read = async (properties: Record<string, string>) =>
    Buffer.from(await openStore({ properties, usage }).read(hint, { maxBytes: 100 })).toString();
  const content = readFileSync(`${fixtures}fs/db1/plain/metadata/version-hint.text`, 'utf8');

  it('can come from the environment alone, and so can the endpoint', async () => {
    for (const [name, value] of Object.entries(moto.env)) stubEnv(name, value);
    stubEnv('AWS_CONFIG_FILE', '/dev/null');
    expect(await read({ 's3.path-style-access': 'true' })).toBe(content);
    stubEnv('AWS_ENDPOINT_URL', moto.url.replace('127.0.0.1', 'localhost'));
    expect(await read({})).toBe(content);
    stubEnv('AWS_ENDPOINT_URL', 'http://127.0.0.1:9');
    stubEnv('AWS_ENDPOINT_URL_S3', moto.url);
    expect(await read({ 's3.path-style-access': 'true', 's3.connect-timeout-ms': '1000' })).toBe(content);
  });

  it('can be those of a role from STS', async () => {
    const role = { 'client.assume-role.arn': 'arn:aws:iam::123456789012:role/reader', 'client.sts.endpoint': moto.url };
    expect(await read({ ...properties, ...role })).toBe(content);
    await expect(read({ ...properties, ...role, 'client.sts.endpoint': 'http://127.0.0.1:9' })).rejects.toMatchObject({
      code: expect.stringMatching(/^(UNAVAILABLE|UNAUTHENTICATED)$/),
    });
  });
});

describe('AWS Secrets Manager', () => {
  const secret = { user: 'reader', password: 'pass-of-the-lake', port: 5432 };
  beforeAll(async () => {
    const client = new SecretsManagerClient({
      endpoint: moto.url,
      region: moto.access.region,
      credentials: moto.access,
    });
    await client.send(new CreateSecretCommand({ Name: 'prod/lake', SecretString: JSON.stringify(secret) }));
    await client.send(new CreateSecretCommand({ Name: 'token', SecretBinary: Buffer.from('a-binary-token') }));
    client.destroy();
  });
  const resolve = (secretRef: string, more: Record<string, string> = {}) => {
    const spec = plainSpec('ICEBERG', 'https://catalog');
    const at = { ...properties, 'secretsmanager.endpoint': moto.url, ...more };
    return resolveSecrets({ ...spec, properties: at, auth: { ...spec.auth, secretRef } });
  };

  it('returns secrets, whole or by key', async () => {
    expect((await resolve('aws-secretsmanager:prod/lake')).auth.secret).toBe(JSON.stringify(secret));
    expect((await resolve('aws-secretsmanager:prod/lake#password')).auth.secret).toBe(secret.password);
    expect((await resolve('aws-secretsmanager:prod/lake#port')).auth.secret).toBe('5432');
    expect((await resolve('aws-secretsmanager:token')).auth.secret).toBe('a-binary-token');
    expect(withoutSecrets(`${secret.password} a-binary-token`)).toBe('*** ***');
  });

  it('can be accessed with keys that are references themselves', async () => {
    stubEnv('LAKE_KEY', moto.access.secretAccessKey);
    const resolved = await resolve('aws-secretsmanager:prod/lake#user', {
      'client.secret-access-key': 'env:LAKE_KEY',
      'header.X-Password': 'aws-secretsmanager:prod/lake#password',
    });
    expect(resolved.auth.secret).toBe('reader');
    expect(resolved.properties).toMatchObject({
      'client.secret-access-key': moto.access.secretAccessKey,
      'header.X-Password': secret.password,
    });
  });

  it.each([
    [
      'aws-secretsmanager:nothing',
      'FAILED_PRECONDITION',
      /^auth.secret_ref refers to aws-secretsmanager:nothing, .*ResourceNotFound/,
    ],
    ['aws-secretsmanager:prod/lake#nothing', 'FAILED_PRECONDITION', /no text under that key/],
    ['aws-secretsmanager:token#key', 'FAILED_PRECONDITION', /the secret is not JSON/],
  ])('refuses %s with %s', async (reference, code, message) => {
    await expect(resolve(reference)).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
  });

  it('is UNAVAILABLE if it cannot be reached', async () => {
    await expect(
      resolve('aws-secretsmanager:prod/lake', { 'secretsmanager.endpoint': 'http://127.0.0.1:9' }),
    ).rejects.toMatchObject({ code: 'UNAVAILABLE', message: expect.stringContaining('http://127.0.0.1:9') });
  });
});

async function snapshotsOf(reader: TableReader): Promise<SnapshotDescriptor[]> {
  const snapshots: SnapshotDescriptor[] = [];
  for await (const snapshot of reader.snapshots()) snapshots.push(snapshot);
  return snapshots;
}
