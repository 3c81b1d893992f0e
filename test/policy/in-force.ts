import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { usePolicy } from '../../src/policy/current-policy.ts';
import { forgetGrants } from '../../src/policy/secret-grants.ts';
import { type WorkerPolicy, workerPolicy } from '../../src/policy/worker-policy.ts';

export const HERE = '127.0.0.1:7460';
export const ELSEWHERE = 'catalog.example.com:7460';

const folder = mkdtempSync(join(tmpdir(), 'policy-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));

/** The folder of the catalog's data. */
export const DATA_DIR = join(folder, 'data');

/** The policy of a file with this content; without content, the default. */
export function policyOf(content: object | undefined, address = HERE): WorkerPolicy {
  const file = join(folder, 'policy.json');
  if (content !== undefined) writeFileSync(file, JSON.stringify(content));
  return workerPolicy({ ...(content && { file }), address, dataDir: DATA_DIR });
}

/** Puts a policy in force, for work of the tenant. */
export function inForce(content: object | undefined, { address = HERE, tenant = 'acme' } = {}): void {
  forgetGrants();
  usePolicy(policyOf(content, address), () => tenant);
}

/** As before the first call of `inForce`. */
export function defaultInForce(): void {
  inForce(undefined);
}
