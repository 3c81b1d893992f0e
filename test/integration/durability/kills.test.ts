import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { JobState } from '../../../src/generated/reconciler/v1/jobs.ts';
import { poll } from '../../jest/poll.ts';
import { dumpCatalog } from '../contents/dump.ts';
import type { RunningStack } from '../stack/running-stack.ts';
import { startUndisturbed, type Undisturbed } from '../stack/undisturbed.ts';

/** Copies of the fixture tables: enough that runs last some seconds, and that tables are packed. */
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

/** Numbers from 0 to 1 that are the same for the same seed (mulberry32). */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

it(`survives kill -9 of worker, catalog and Temporal at ${KILLS} random moments`, async () => {
  const seed = Number(process.env.RECONCILER_KILLS_SEED ?? Date.now() % 1_000_000);
  const random = randomFrom(seed);
  let killing = true;
  const jobs: string[] = [];
  /** Keeps jobs of the connector coming, incremental and full ones, until the killing is over. */
  async function keepBusy(name: string): Promise<void> {
    const connectorId = await stack.connect(name, base.folder);
    for (let n = 0; killing; n++) {
      const request = { connectorId, fullRescan: n % 2 === 1, idempotencyKey: `${name}-${n}` };
      const jobId = await patiently(async () => (await stack.catalog.connectors.triggerReconcile(request)).jobId);
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
    // It may be down since the last time.
    if (!pid || !kill(pid)) continue;
    killed[name] = (killed[name] ?? 0) + 1;
    left -= 1;
  }
  killing = false;
  await Promise.all(busy);

  const told = `seed ${seed}, killed ${JSON.stringify(killed)}, jobs ${jobs.join(' ')}`;
  for (const jobId of jobs) {
    const job = await stack.ended(jobId);
    expect({ told, job }).toMatchObject({ told, job: { state: JobState.JS_SUCCEEDED, counters: { errors: 0n } } });
    // The connector is given back after the record is written.
    const status = async () => (await stack.temporal.workflow.getHandle(jobId).describe()).status.name;
    const found = async () => ({ told, status: await status().catch(String) });
    await poll(found, { timeout: 300_000 }).toEqual({ told, status: 'COMPLETED' });
  }
  for (const name of CONNECTORS) {
    expect({ told, dump: await dumpCatalog(stack.catalog, name) }).toEqual({ told, dump: base.dump });
  }
  // Nothing holds a connector.
  const { connectors } = await stack.catalog.connectors.listConnectors({});
  expect(connectors.map(({ runningJobId }) => runningJobId)).toEqual(['', '', '', '']);
  console.log(told);
}, 1_500_000);

function kill(pid: number): boolean {
  try {
    return process.kill(pid, 'SIGKILL');
  } catch {
    return false;
  }
}

async function patiently<T>(call: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await call();
    } catch (error) {
      if (!/UNAVAILABLE|CANCELLED|INTERNAL/.test(String(error))) throw error;
      await sleep(200);
    }
  }
}
