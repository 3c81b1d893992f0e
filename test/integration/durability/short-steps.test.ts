import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { JobState } from '../../../src/generated/reconciler/v1/jobs.ts';
import { SyntheticStack } from '../../synthetic/synthetic-stack.ts';

/** Two connectors with this many slow tables each take all slots of the worker's ingests. */
const SLOW = { tables: 8, namespaces: 1, faults: [{ every: 1, delayMs: 25_000 }] };

let stack: SyntheticStack;
beforeAll(async () => {
  stack = await SyntheticStack.start();
}, 180_000);
afterAll(() => stack?.[Symbol.asyncDispose]());

it('scans and validations do not wait while slow tables of other connectors take all slots of ingests', async () => {
  const { connectors } = stack.catalog;
  const slow = await Promise.all(
    ['slow1', 'slow2'].map(async (name) => {
      const connectorId = await stack.connect(name, stack.upstream(name, SLOW), { policy: { maxParallel: 8 } });
      return (await connectors.triggerReconcile({ connectorId })).jobId;
    }),
  );
  const inFlight = async (jobId: string) =>
    (await stack.temporal.workflow.getHandle(jobId).query<{ inFlight: string[] }>('progress')).inFlight.length;
  while ((await Promise.all(slow.map(inFlight))).some((tables) => tables < 8));

  const uri = stack.upstream('quick', { tables: 30, namespaces: 1 });
  const connectorId = await stack.connect('quick', uri);
  const { ok } = await connectors.validateConnector({ target: { $case: 'connectorId', value: connectorId } });
  expect(ok).toBe(true);
  const { jobId } = await connectors.triggerReconcile({ connectorId });
  while (((await stack.job(jobId)).counters?.tablesScanned ?? 0n) < 30n);
  // The slow tables still take all slots: this has not waited for any of them.
  expect(await Promise.all(slow.map(inFlight))).toEqual([8, 8]);
  for (const id of [...slow, jobId]) expect(await stack.ended(id)).toMatchObject({ state: JobState.JS_SUCCEEDED });
}, 180_000);
