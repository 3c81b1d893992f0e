import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from '@jest/globals';
import { readPolicyFile } from '../../src/policy/policy-file.ts';

const folder = mkdtempSync(join(tmpdir(), 'policy-file-'));
afterAll(() => rmSync(folder, { recursive: true }));

function read(content: unknown) {
  const path = join(folder, 'policy.json');
  writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content));
  return readPolicyFile(path);
}

it('is JSON; what is left out allows nothing', () => {
  expect(read({})).toEqual({ secrets: [], identities: [], profiles: [], networks: { allow: [], deny: [] } });
  expect(read({ secrets: [{ ref: 'env:A', tenants: ['*'] }] }).secrets).toEqual([
    { ref: 'env:A', tenants: ['*'], hosts: [] },
  ]);
});

it.each([
  ['{', 'the file is not JSON'],
  [[], 'the policy: Invalid input'],
  [{ secret: [] }, 'the policy: Unrecognized key: "secret"'],
  [{ secrets: [{ ref: 'env:A', tenants: ['a'], host: ['x'] }] }, 'secrets[0]: Unrecognized key: "host"'],
  [{ secrets: [{ ref: 'env:A', tenant: ['a'] }] }, 'secrets[0]: Unrecognized key: "tenant"'],
  [{ networks: { allowed: [] } }, 'networks: Unrecognized key: "allowed"'],
  [{ secrets: [{ ref: 'env:A' }] }, 'secrets[0].tenants: '],
  [{ secrets: [{ ref: 'env:A', tenants: [] }] }, 'secrets[0].tenants: has no tenant'],
  [{ secrets: [{ ref: 'env:A', tenants: ['Acme'] }] }, 'secrets[0].tenants[0]: "Acme" is not the id of a tenant'],
  [{ secrets: [{ ref: 'A', tenants: ['*'] }] }, 'secrets[0].ref: "A" is not env:NAME'],
  [{ secrets: [{ ref: 'file:a/b', tenants: ['*'] }] }, 'secrets[0].ref: "file:a/b" is not an absolute path'],
  [{ secrets: [{ ref: 'file:/a/../b', tenants: ['*'] }] }, 'secrets[0].ref: '],
  [
    { secrets: [{ ref: 'env:A', tenants: ['*'], hosts: ['https://a'] }] },
    'secrets[0].hosts[0]: "https://a" is not a host',
  ],
  [{ identities: [{ name: 'gcp', tenants: ['*'] }] }, 'identities[0].name: '],
  [{ networks: { deny: ['10.0.0.0/99'] } }, 'networks.deny[0]: "10.0.0.0/99" is not a network'],
])('%j is refused, and the error names the place', (content, message) => {
  expect(() => read(content)).toThrow(
    expect.objectContaining({
      code: 'INVALID_ARGUMENT',
      message: expect.stringContaining(`RECONCILER_WORKER_POLICY=${join(folder, 'policy.json')}: ${message}`),
    }),
  );
});

it('a file that is missing is an error', () => {
  expect(() => readPolicyFile('/no/such/policy.json')).toThrow('/no/such/policy.json: cannot be read (ENOENT)');
});
