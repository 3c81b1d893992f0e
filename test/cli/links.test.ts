import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from '@jest/globals';
import { writeStackFile } from '../../src/stack/stack-file.ts';
import { stubEnv, unstubAllEnvs } from '../jest/stub-env.ts';
import { type Harness, startHarness } from './harness.ts';

const folder = mkdtempSync(join(tmpdir(), 'links-'));
const PROFILES = join(folder, 'temporal.toml');
const CLOUD = 'https://cloud.temporal.io';

let cli: Harness;
let job: string;
beforeAll(async () => {
  cli = await startHarness();
  await cli.create('lake');
  cli.jobs.outcome = undefined;
  job = (await cli.run('connector', 'trigger', 'lake')).stdout.trim();
  writeFileSync(
    PROFILES,
    `[profile.default]\nnamespace = "of-default"\n
     [profile.cloud]\naddress = "data.a1b2c.tmprl.cloud:7233"\nnamespace = "data.a1b2c"\n
     [profile.cloud.tls]\nclient_cert_path = "${join(folder, 'not-here.pem')}"\n`,
  );
});
beforeEach(() => stubEnv('TEMPORAL_CONFIG_FILE', join(folder, 'none.toml')));
afterEach(unstubAllEnvs);
afterAll(async () => {
  await cli[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

/** The link that `job get` prints, with these variables. */
async function link(env: Record<string, string>): Promise<string> {
  for (const [name, value] of Object.entries(env)) stubEnv(name, value);
  const { code, stderr } = await cli.run('job', 'get', job);
  expect(code).toBe(0);
  return stderr.trim();
}

it.each<[string, Record<string, string>, string]>([
  ['the default namespace', {}, 'default'],
  ['an empty variable', { TEMPORAL_NAMESPACE: '' }, 'default'],
  ['the variable', { TEMPORAL_NAMESPACE: 'prod' }, 'prod'],
  ['the default profile', { TEMPORAL_CONFIG_FILE: PROFILES }, 'of-default'],
  // Its certificate, which a link does not need, is not on this machine.
  ['a profile', { TEMPORAL_CONFIG_FILE: PROFILES, TEMPORAL_PROFILE: 'cloud' }, 'data.a1b2c'],
  [
    'the variable before the profile',
    { TEMPORAL_CONFIG_FILE: PROFILES, TEMPORAL_PROFILE: 'cloud', TEMPORAL_NAMESPACE: 'test.a1b2c' },
    'test.a1b2c',
  ],
])('links name the namespace of %s', async (_, env, namespace) => {
  expect(await link({ RECONCILER_TEMPORAL_UI: CLOUD, ...env })).toBe(
    `${CLOUD}/namespaces/${namespace}/workflows/${job}`,
  );
});

it('a base that ends with a slash or has a path is kept', async () => {
  expect(await link({ RECONCILER_TEMPORAL_UI: 'http://tools.internal/temporal/' })).toBe(
    `http://tools.internal/temporal/namespaces/default/workflows/${job}`,
  );
});

it('no link is shown if the profile cannot be read', async () => {
  expect(await link({ RECONCILER_TEMPORAL_UI: CLOUD, TEMPORAL_PROFILE: 'gone' })).toBe('');
});

it("links to a stack on this machine use the stack's namespace, whatever Temporal's variables say", async () => {
  writeStackFile(folder, {
    pid: process.pid,
    address: cli.address,
    uiUrl: 'http://127.0.0.1:8299',
    temporalAddress: '127.0.0.1:7299',
    observed: { catalog: { metrics: '', health: '' }, worker: { metrics: '', health: '' } },
    processes: {},
  });
  expect(await link({ RECONCILER_DATA_DIR: folder, TEMPORAL_NAMESPACE: 'prod', TEMPORAL_PROFILE: 'gone' })).toBe(
    `http://127.0.0.1:8299/namespaces/default/workflows/${job}`,
  );
});
