import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { resolveReference } from '../../src/storage/secret-reference.ts';
import { stubEnv, unstubAllEnvs } from '../jest/stub-env.ts';
import { DATA_DIR, ELSEWHERE, HERE, inForce, policyOf } from './in-force.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'worker-policy-'));
  mkdirSync(DATA_DIR);
  mkdirSync(join(folder, 'acme/version-2'), { recursive: true });
  mkdirSync(join(folder, 'acme-evil'));
  for (const name of ['secret', 'acme/key', 'acme/version-2/token', 'acme-evil/key'])
    writeFileSync(join(folder, name), `content of ${name}`);
  writeFileSync(join(DATA_DIR, 'catalog.db'), 'the catalog');
  symlinkSync('/etc/passwd', join(folder, 'to-passwd'));
  symlinkSync('../secret', join(folder, 'acme/to-secret'));
  symlinkSync('version-2/token', join(folder, 'acme/to-version-2'));
  symlinkSync(DATA_DIR, join(folder, 'to-data'));
});
afterAll(() => rmSync(folder, { recursive: true }));
afterEach(() => unstubAllEnvs());

const resolve = (reference: string) => resolveReference(reference, 'auth.secret_ref');
const refused = (...texts: string[]) => {
  const pattern = new RegExp(texts.map((text) => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')).join('.*'));
  return expect.objectContaining({ code: 'PERMISSION_DENIED', message: expect.stringMatching(pattern) });
};

describe('without a file, and with a catalog on this machine', () => {
  it.each(['127.0.0.1:7460', 'localhost:1', '[::1]:7460', 'https://localhost:1'])(
    '%s is on this machine',
    async (address) => {
      inForce(undefined, { address });
      stubEnv('LAKE_SECRET', 'the secret of the lake');
      expect(await resolve('env:LAKE_SECRET')).toBe('the secret of the lake');
      expect(await resolve(`file:${folder}/secret`)).toBe('content of secret');
      expect(await resolve(`file://${folder}/secret`)).toBe('content of secret');
    },
  );

  it.each(['PATH', 'HOME', 'RECONCILER_CODEC_KEYS', 'TEMPORAL_API_KEY', 'AWS_SECRET_ACCESS_KEY', 'OTEL_X', 'NODE_X'])(
    'env:%s is refused, as a variable of the process itself',
    async (name) => {
      inForce(undefined);
      stubEnv(name, 'planted');
      await expect(resolve(`env:${name}`)).rejects.toEqual(refused(`env:${name}`, 'RECONCILER_WORKER_POLICY'));
    },
  );

  it('a variable whose name only begins like one is not', async () => {
    inForce(undefined);
    stubEnv('PATH_OF_SECRET', 'a secret');
    expect(await resolve('env:PATH_OF_SECRET')).toBe('a secret');
  });

  it.each([
    '/etc/passwd',
    '/etc/../etc/passwd',
    '/proc/self/environ',
    '/proc/1/environ',
    '/sys/kernel/hostname',
    '/dev/zero',
    '/etc/no-such-file',
    'FOLDER/to-passwd',
    'DATA/catalog.db',
    'FOLDER/to-data/catalog.db',
    'DATA/no-such-file',
  ])('file:%s is refused', async (path) => {
    inForce(undefined);
    const reference = `file:${path.replace('FOLDER', folder).replace('DATA', DATA_DIR)}`;
    await expect(resolve(reference)).rejects.toEqual(refused(reference, 'is below', 'RECONCILER_WORKER_POLICY'));
  });
});

describe('without a file, and with a catalog elsewhere', () => {
  it.each([ELSEWHERE, '10.0.0.1:7460', '0.0.0.0:7460', '[::]:7460', '127.0.0.1.example.com:7460'])(
    'no secret is used: %s',
    async (address) => {
      inForce(undefined, { address });
      stubEnv('LAKE_SECRET', 'the secret of the lake');
      const denied = refused('the worker has no policy', address, 'RECONCILER_WORKER_POLICY');
      await expect(resolve('env:LAKE_SECRET')).rejects.toEqual(denied);
      await expect(resolve(`file:${folder}/secret`)).rejects.toEqual(denied);
      await expect(resolve('aws-secretsmanager:lake')).rejects.toEqual(denied);
    },
  );

  it('neither is an identity or a profile of the worker', () => {
    const policy = policyOf(undefined, ELSEWHERE);
    for (const name of ['aws', 'azure', 'google', 'databricks'] as const)
      expect(() => policy.identity(name, 'acme')).toThrow('RECONCILER_WORKER_POLICY');
    expect(() => policy.profile('p', 'acme')).toThrow('the profile p of the worker: the worker has no policy');
    expect(policy.allowsLocalFiles).toBe(false);
  });
});

describe('a file', () => {
  const POLICY = () => ({
    secrets: [
      { ref: 'env:ACME_TOKEN', tenants: ['acme'], hosts: ['catalog.example.com'] },
      { ref: 'env:ANY_*', tenants: ['*'] },
      { ref: `file:${folder}/acme/*`, tenants: ['acme'], hosts: ['*.acme.internal'] },
      { ref: `file:${folder}/to-passwd`, tenants: ['acme'] },
      { ref: 'aws-secretsmanager:reconciler/acme/*', tenants: ['acme'] },
      { ref: 'aws-secretsmanager:one#key', tenants: ['acme'] },
    ],
    identities: [{ name: 'aws', tenants: ['acme'], hosts: ['*.amazonaws.com'] }],
    profiles: [{ name: 'acme-read', tenants: ['acme'], hosts: ['*.amazonaws.com'] }],
  });
  const use = (reference: string, tenant = 'acme') => policyOf(POLICY()).secret(reference, 'auth.secret_ref', tenant);

  it.each([
    'env:ACME_TOKEN',
    'env:ANY_THING',
    'aws-secretsmanager:reconciler/acme/a/b#password',
    'aws-secretsmanager:one#key',
  ])('lists %s', (reference) => {
    expect(use(reference).grant?.name).toBe(reference);
  });

  it.each([
    'env:ACME_TOKEN_2',
    'env:ACME',
    'env:PATH',
    'aws-secretsmanager:reconciler/other/a',
    'aws-secretsmanager:one#other-key',
    'aws-secretsmanager:one',
    'aws-secretsmanager:arn:aws:secretsmanager:eu-west-1:1:secret:reconciler/acme/a',
    'file:/etc/passwd',
    'file:FOLDER/acme-evil/key',
    'file:FOLDER/acme/../acme-evil/key',
    'file:FOLDER/acme/./key',
    'file:FOLDER/acme//key',
  ])('does not list %s', (reference) => {
    const text = reference.replace('FOLDER', folder);
    expect(() => use(text)).toThrow(refused(`auth.secret_ref refers to ${text}`, 'does not list for tenant acme'));
  });

  it('lists a variable of the process itself only by its name', () => {
    const secrets = ['env:*', 'env:AWS_SECRET_ACCESS_KEY'].map((ref) => ({ ref, tenants: ['acme'], hosts: ['*'] }));
    const policy = policyOf({ secrets });
    const use = (reference: string) => policy.secret(reference, 'p', 'acme').grant?.name;
    expect(use('env:LAKE_TOKEN')).toBe('env:LAKE_TOKEN');
    expect(use('env:AWS_SECRET_ACCESS_KEY')).toBe('env:AWS_SECRET_ACCESS_KEY');
    for (const own of ['env:RECONCILER_TOKEN', 'env:RECONCILER_CODEC_KEYS', 'env:PATH'])
      expect(() => use(own)).toThrow(refused(own, 'does not list'));
  });

  it('lists for tenants', () => {
    expect(() => use('env:ACME_TOKEN', 'rival')).toThrow(refused('tenant rival'));
    expect(use('env:ANY_THING', 'rival').grant?.hosts).toEqual([]);
    const policy = policyOf(POLICY());
    expect(policy.identity('aws', 'acme').grant?.hosts).toEqual(['*.amazonaws.com']);
    expect(() => policy.identity('aws', 'rival')).toThrow(refused("the worker's own AWS identity", 'rival'));
    expect(() => policy.identity('google', 'acme')).toThrow(refused('Google identity'));
    expect(() => policy.profile('acme-write', 'acme')).toThrow(refused('profile acme-write'));
    expect(() => policy.profile('acme-read', 'rival')).toThrow(refused('profile acme-read'));
  });

  it('with tenants is for no other, whatever its entries list', () => {
    const policy = policyOf({ ...POLICY(), tenants: ['acme'] });
    expect(() => policy.requireTenant('acme')).not.toThrow();
    expect(() => policy.requireTenant('rival')).toThrow(refused('this worker works only for acme'));
    expect(() => policy.secret('env:ANY_THING', 'p', 'rival')).toThrow(refused('rival'));
  });

  it('holds with a catalog on this machine as well as elsewhere', async () => {
    for (const address of [HERE, ELSEWHERE]) {
      inForce(POLICY(), { address });
      await expect(resolve('env:LAKE_SECRET')).rejects.toEqual(refused('env:LAKE_SECRET', 'does not list'));
    }
  });

  it('a link may not lead out of the folder of a pattern, but an exact path may be one', async () => {
    inForce(POLICY());
    expect(await resolve(`file:${folder}/acme/key`)).toBe('content of acme/key');
    expect(await resolve(`file:${folder}/acme/to-version-2`)).toBe('content of acme/version-2/token');
    await expect(resolve(`file:${folder}/acme/to-secret`)).rejects.toEqual(refused('a link that leads out of'));
    expect(await resolve(`file:${folder}/to-passwd`)).toContain('root:');
  });
});
