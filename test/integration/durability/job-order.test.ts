import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { JobState } from '../../../src/generated/reconciler/v1/jobs.ts';
import { loggedConnector } from '../../synthetic/logged-connector.ts';
import { SyntheticStack } from '../../synthetic/synthetic-stack.ts';

/** Few enough that the first job is soon over once its upstream is fast. */
const UPSTREAM = { tables: 30, namespaces: 3 };
/** Enough jobs that they do not start in this order by chance. */
const WAITING = ['t000002', 't000003', 't000004', 't000005'];

let stack: SyntheticStack;
beforeAll(async () => {
  stack = await SyntheticStack.start();
}, 180_000);
afterAll(() => stack?.[Symbol.asyncDispose]());

it('jobs of a connector run one after the other, in the order in which they came', async () => {
  const slow = { ...UPSTREAM, faults: [{ every: 1, delayMs: 1_000 }] };
  const connector = await loggedConnector(stack, slow, { maxParallel: 1 });
  // A full rescan reads its table even though the job before it has ingested it.
  const rescan = (destinationTableName: string) => connector.trigger({ full: true, destinationTableName });
  const pair = await Promise.all([connector.trigger({ full: true }), rescan('t000001')]);
  await until(async () => (await isWaiting(pair[0])) || (await isWaiting(pair[1])));
  const waiting: string[] = [];
  for (const table of WAITING) {
    const jobId = await rescan(table);
    await until(() => isWaiting(jobId));
    waiting.push(jobId);
  }
  connector.change(UPSTREAM);
  const jobs = await Promise.all([...pair, ...waiting].map((jobId) => stack.ended(jobId)));
  for (const job of jobs) expect(job).toMatchObject({ state: JobState.JS_SUCCEEDED, counters: { errors: 0n } });

  // The two that were triggered at the same time may run in either order.
  const readers = connector.opened().map(({ jobId }) => jobId);
  const first = pair.toSorted((a, b) => readers.indexOf(a) - readers.indexOf(b));
  expect(readers.filter((jobId, i) => jobId !== readers[i - 1])).toEqual([...first, ...waiting]);
  const inOrder = [...first, ...waiting].map((jobId) => jobs.find((job) => job.jobId === jobId)!);
  for (const [i, { startedAt }] of inOrder.slice(1).entries()) {
    expect(startedAt!.getTime()).toBeGreaterThanOrEqual(inOrder[i]!.finishedAt!.getTime());
  }
  await connector.expectUndisturbed();
}, 300_000);

const isWaiting = async (jobId: string) => /waiting for job/.test((await stack.job(jobId)).message);

async function until(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition())) await sleep(50);
}
