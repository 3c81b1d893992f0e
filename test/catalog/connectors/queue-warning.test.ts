import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { warningsIn } from '../../../src/catalog-client/warnings.ts';
import { connectorSpec, TestCatalog } from '../harness.ts';

let catalog: TestCatalog;
beforeAll(async () => {
  catalog = await TestCatalog.start();
});
afterAll(() => catalog[Symbol.asyncDispose]());

/** Creates a connector with this policy, and returns it and the warnings. */
async function create(policy: object) {
  const warnings: string[] = [];
  const { connectorId } = await catalog.clients.connectors.createConnector(
    { connector: connectorSpec({ policy }) },
    { onTrailer: (trailer) => void warnings.push(...warningsIn(trailer)) },
  );
  return { connectorId, warnings };
}

async function update(connectorId: string, policy: object, ...updateMask: string[]) {
  const warnings: string[] = [];
  await catalog.clients.connectors.updateConnector(
    { connector: { connectorId, policy }, updateMask },
    { onTrailer: (trailer) => void warnings.push(...warningsIn(trailer)) },
  );
  return warnings;
}

it('the response warns of a task queue that no worker polls, if the call sets it', async () => {
  const { connectorId, warnings } = await create({ taskQueue: 'far' });
  expect(warnings).toEqual(['nobody polls far (ü)']);
  expect(await update(connectorId, { taskQueue: 'farther' }, 'policy.task_queue')).toEqual([
    'nobody polls farther (ü)',
  ]);
  expect(await update(connectorId, { taskQueue: 'served' }, 'policy.task_queue')).toEqual([]);
  expect(await update(connectorId, { maxParallel: 4 }, 'policy.max_parallel')).toEqual([]);
  expect(await update(connectorId, { taskQueue: '' }, 'policy.task_queue')).toEqual([]);
  expect((await create({})).warnings).toEqual([]);
});

it('calls succeed without a warning while Temporal is unavailable or does not answer', async () => {
  catalog.jobs.down = true;
  expect((await create({ taskQueue: 'far' })).warnings).toEqual([]);
  catalog.jobs.down = false;
  catalog.jobs.hangs = true;
  const start = Date.now();
  expect((await create({ taskQueue: 'far' })).warnings).toEqual([]);
  expect(Date.now() - start).toBeLessThan(10_000);
  catalog.jobs.hangs = false;
});
