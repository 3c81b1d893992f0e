import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { JobState } from '../../../src/generated/reconciler/v1/jobs.ts';
import { poll } from '../../jest/poll.ts';
import { dumpCatalog } from '../contents/dump.ts';
import type { RunningStack } from '../stack/running-stack.ts';
import { startUndisturbed, type Undisturbed } from '../stack/undisturbed.ts';

/** Number of copies of the fixture tables, chosen so that a run lasts several seconds and its tables are packed. */
const COPIES = 4;
const KILLS = 50;
const MAX_PAUSE_MS = 2_000;
const CONNECTORS = ['first', 'second', 'third'];

let base: Undisturbed;
let stack: RunningStack;
beforeAll(async () => {
  base = await startUndisturbed(COPIES);
  stack = base.stack;
}, 300_000);
afterAll(async () => base?.[Symbol.asyncDispose]());

/** Returns a generator of pseudo-random numbers from 0 to 1 with this seed (mulberry32). */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

it(`jobs survive kill -9 of the worker, the catalog and Temporal at ${KILLS} random moments`, async () => {
  const seed = Number(process.env.RECONCILER_KILLS_SEED ?? Date.now() % 1_000_000);
  const random = randomFrom(seed);
  let killing = true;
  const jobs: string[] = [];
  /** Runs jobs of the connector, incremental and full in turn, until the last process was killed. */
  async function keepBusy(name: string): Promise<void> {
    const connectorId = await stack.connect(name, base.folder);
    for (let n = 0; killing; n++) {
      const request = { connectorId, full: n % 2 === 1, idempotencyKey: `${name}-${n}` };
      const jobId = await retryWhileUnavailable(
        async () => (await stack.catalog.connectors.triggerReconcile(request)).jobId,
      );
      jobs.push(jobId);
      await stack.ended(jobId);
    }
  }
  const busy = CONNECTORS.map(keepBusy);
  const killed: Record<string, number> = {};
  for (let left = KILLS; left > 0; ) {
    await sleep(random() * MAX_PAUSE_MS);
    const names = ['worker', 'catalog', 'temporal'];
    const name = names[Math.floor(random() * names.length)]!;
    const pid = stack.pids()[name];
    // The process may not have restarted since it was last killed.
    if (!pid || !kill(pid)) continue;
    killed[name] = (killed[name] ?? 0) + 1;
    left -= 1;
  }
  killing = false;
  await Promise.all(busy);

  const context = `seed ${seed}, killed ${JSON.stringify(killed)}, jobs ${jobs.join(' ')}`;
  for (const jobId of jobs) {
    const job = await stack.ended(jobId);
    expect({ context, job }).toMatchObject({
      context,
      job: { state: JobState.JS_SUCCEEDED, counters: { errors: 0n } },
    });
    // The connector is released after the job's record is written.
    const status = async () => (await stack.temporal.workflow.getHandle(jobId).describe()).status.name;
    const found = async () => ({ context, status: await status().catch(String) });
    await poll(found, { timeout: 300_000 }).toEqual({ context, status: 'COMPLETED' });
  }
  for (const name of CONNECTORS) {
    expect({ context, dump: await dumpCatalog(stack.catalog, name) }).toEqual({ context, dump: base.dump });
  }
  // No job holds a connector.
  const { connectors } = await stack.catalog.connectors.listConnectors({});
  expect(connectors.map(({ runningJobId }) => runningJobId)).toEqual(['', '', '', '']);
  console.log(context);
}, 1_500_000);

function kill(pid: number): boolean {
  try {
    return process.kill(pid, 'SIGKILL');
  } catch {
    return false;
  }
}

async function retryWhileUnavailable<T>(call: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await call();
    } catch (error) {
      if (!/UNAVAILABLE|CANCELLED|INTERNAL/.test(String(error))) throw error;
      await sleep(200);
    }
  }
}
