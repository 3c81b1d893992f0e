import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { JobState } from '../../src/generated/reconciler/v1/jobs.ts';
import { waitFor } from '../jest/wait-for.ts';
import { Processes } from './stack/processes.ts';
import { ROOT } from './stack/running-stack.ts';

const ATTRIBUTES = ['Connector', 'Tenant', 'Mode', 'Outcome', 'Trigger', 'DryRun', 'Paused'].map(
  (name) => `Reconciler${name}`,
);
const WAREHOUSE = join(ROOT, 'test/fixtures/iceberg/fs');

let processes: Processes;
beforeAll(async () => {
  processes = await Processes.start();
});
afterAll(() => processes?.[Symbol.asyncDispose]());

const setup = (...args: string[]) => processes.cli(['setup', ...args]);

it('setup registers the search attributes while the catalog and a worker run, and changes nothing when repeated', async () => {
  await processes.startCatalog();
  await processes.startWorker();
  const connectorId = await processes.connect('lake', WAREHOUSE);
  const before = await processes.ended(await processes.trigger(connectorId));
  expect(before).toMatchObject({ state: JobState.JS_SUCCEEDED });

  const json = await setup('--json');
  expect(json).toMatchObject({ code: 0, stderr: '' });
  expect(JSON.parse(json.stdout)).toEqual({
    namespace: 'default',
    retentionSeconds: 86_400,
    searchAttributes: ATTRIBUTES.map((name) => ({ name, added: true })),
  });
  const again = await setup();
  expect(again).toMatchObject({ code: 0, stderr: '' });
  expect(again.stdout).toMatch(/^namespace default keeps histories for 1 d /);
  expect(again.stdout.match(/^already there {2}Reconciler\w+$/gm)).toHaveLength(ATTRIBUTES.length);

  const { jobId } = await processes.ended(await processes.trigger(connectorId));
  const query = "ReconcilerConnector='lake' AND ReconcilerOutcome='JS_SUCCEEDED'";
  // Temporal's list is eventually consistent.
  await waitFor(
    async () => {
      const { stdout } = await processes.temporalCli('workflow', 'list', '--query', query, '--output', 'json');
      const runs = JSON.parse(stdout) as { execution: { workflowId: string } }[];
      expect(runs.map(({ execution }) => execution.workflowId)).toEqual([jobId]);
    },
    { timeout: 60_000, interval: 300 },
  );
}, 180_000);

it('setup fails if a search attribute has another type, and names the attribute', async () => {
  const created = await processes.temporalCli(
    ...['operator', 'namespace', 'create', '--namespace', 'other', '--retention', '72h'],
  );
  expect(created).toMatchObject({ code: 0 });
  const namespace = { TEMPORAL_NAMESPACE: 'other' };
  const create = ['operator', 'search-attribute', 'create', '--namespace', 'other', '--name', 'ReconcilerMode'];
  await waitFor(
    async () => expect(await processes.temporalCli(...create, '--type', 'Int')).toMatchObject({ code: 0 }),
    { timeout: 60_000, interval: 500 },
  );
  const refused = await processes.cli(['setup'], namespace);
  expect(refused.code).toBe(1);
  expect(refused.stderr).toMatch(/namespace other have the wrong type: ReconcilerMode is Int instead of Keyword/);
  const { stdout } = await processes.temporalCli('operator', 'search-attribute', 'list', '--namespace', 'other');
  expect(stdout).not.toContain('ReconcilerConnector');
}, 120_000);

it('setup reports a missing namespace and an unreachable Temporal', async () => {
  const missing = await processes.cli(['setup'], { TEMPORAL_NAMESPACE: 'nowhere' });
  expect(missing.code).toBe(1);
  expect(missing.stderr).toMatch(/Temporal has no namespace nowhere. Create it \(temporal operator namespace create/);
  const unreachable = await processes.cli(['setup'], { TEMPORAL_ADDRESS: '127.0.0.1:1' });
  expect(unreachable.code).toBe(3);
  expect(unreachable.stderr).toContain('127.0.0.1:1');
  const profile = await processes.cli(['setup'], { TEMPORAL_PROFILE: 'gone' });
  expect(profile.code).toBe(2);
  expect(profile.stderr).toMatch(
    /^error: Temporal's settings cannot be read: Profile 'gone' not found.*TEMPORAL_PROFILE/,
  );
}, 60_000);

it('a worker that cannot start reports the reason and exits', async () => {
  const missing = await processes.cli(['worker'], { TEMPORAL_NAMESPACE: 'nowhere' });
  expect(missing.code).toBe(1);
  expect(missing.stderr).toMatch(/^error: Temporal has no namespace nowhere. Create it/);
  const addressInUse = await processes.cli(['worker'], { RECONCILER_HEALTH_ADDRESS: processes.temporalAddress });
  expect(addressInUse.code).toBe(3);
  expect(addressInUse.stderr).toMatch(/^error: RECONCILER_HEALTH_ADDRESS=\S+ cannot be listened on/);
}, 60_000);
