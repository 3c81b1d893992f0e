import { expect, it } from '@jest/globals';
import { alertWorkflowId } from '../../../src/contract/job.ts';
import { type Behaviour, StubUpstream } from '../../workflows/reconcile/stub-upstream.ts';
import { HOUR_MS, MINUTE_MS, startTimeSkipping } from './time-skipping.ts';

/**
 * Runs a job whose alert cannot be delivered at first. On a server of its own: time would stand still after a child workflow that ends after
 * its parent.
 *
 * @returns how the alert ended, and when it was tried, in ms since the first time
 */
async function deliver(failures: number): Promise<{ result: unknown; at: number[] }> {
  await using environment = await startTimeSkipping();
  const at: number[] = [];
  const fails: Behaviour = async () => {
    at.push(await environment.temporal.currentTimeMs());
    throw new Error('503 Service Unavailable');
  };
  const delivers: Behaviour = async () => {
    at.push(await environment.temporal.currentTimeMs());
    return 'sent';
  };
  const upstream = new StubUpstream({ a: 'broken' }).with({ alert: { type: 'job.failed' } });
  upstream.on('deliverAlert', ...Array.from({ length: failures }, () => fails), delivers);
  const { jobId } = await environment.reconcile(upstream);
  const handle = environment.temporal.client.workflow.getHandle(alertWorkflowId(jobId));
  const result = await handle.result().catch((error) => error);
  return { result, at: at.map((time) => time - at[0]!) };
}

it('an alert is retried for hours, less and less often, until it is delivered', async () => {
  const { result, at } = await deliver(20);
  expect(result).toBe('sent');
  const seconds = [2, 6, 18, 54, 162, 486, 1458, ...Array.from({ length: 13 }, () => 1800)];
  expect(at.length).toBe(seconds.length + 1);
  for (const [i, delay] of seconds.entries()) {
    const actual = (at[i + 1]! - at[i]!) / 1_000;
    expect(actual).toBeGreaterThan(0.9 * delay);
    // Time is as long as real time while the attempt runs.
    expect(actual).toBeLessThan(1.1 * delay + 10);
  }
});

it('an alert is given up after a day', async () => {
  const { result, at } = await deliver(100);
  expect(result).toMatchObject({ cause: { cause: { message: '503 Service Unavailable' }, retryState: 'TIMEOUT' } });
  expect(at.at(-1)!).toBeLessThan(24 * HOUR_MS);
  expect(at.at(-1)!).toBeGreaterThan(24 * HOUR_MS - 31 * MINUTE_MS);
});
