import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import type { Progress } from '../../../src/contract/job.ts';
import { countersOf } from '../../../src/contract/progress-message.ts';
import { JobState } from '../../../src/generated/reconciler/v1/jobs.ts';
import { SyntheticStack } from '../../synthetic/synthetic-stack.ts';

/** How old a counter may be, with some tolerance for this machine. */
const MAX_AGE_MS = 10_000;
const TOLERANCE_MS = 6_000;

let stack: SyntheticStack;
beforeAll(async () => {
  stack = await SyntheticStack.start();
}, 180_000);
afterAll(() => stack?.[Symbol.asyncDispose]());

interface Sample {
  at: number;
  query: number;
  api: number;
  details: number;
}

/** Samples the counter of file changes every second, as the query, the API and the UI's details show it. */
async function sampled(jobId: string): Promise<Sample[]> {
  const handle = stack.temporal.workflow.getHandle(jobId);
  const samples: Sample[] = [];
  for (;;) {
    const job = await stack.job(jobId);
    const { state, counters } = await handle.query<Progress>('progress');
    const { currentDetails } = await handle.query<{ currentDetails: string }>('__temporal_workflow_metadata');
    if (state !== 'JS_QUEUED' && state !== 'JS_RUNNING') return samples;
    const details = Number(/\*\*(\d+)\*\* file changes/.exec(currentDetails)?.[1] ?? 0);
    const api = Number(countersOf(job).filesIngested);
    samples.push({ at: Date.now(), query: counters.filesIngested ?? 0, api, details });
    await sleep(1_000);
  }
}

/** The longest time between two changes of a counter, from the first sample on. */
function longestRest(samples: Sample[], counter: 'query' | 'api' | 'details'): number {
  let [changedAt, longest] = [samples[0]!.at, 0];
  for (const [i, sample] of samples.entries()) {
    longest = Math.max(longest, sample.at - changedAt);
    if (i > 0 && sample[counter] !== samples[i - 1]![counter]) changedAt = sample.at;
  }
  return longest;
}

it.each([
  // One snapshot of each table lasts for a minute.
  ['in huge tables', { tables: 2, namespaces: 1, files: 600, batches: { size: 10, delayMs: 1_000 } }],
  // A pack has one table in ten seconds.
  ['in packs', { tables: 30, namespaces: 1, files: 5, batches: { size: 5, delayMs: 2_000 } }],
])(
  'counters move %s, agree wherever they are shown, and never fall',
  async (name, upstream) => {
    const connectorId = await stack.connect(name, stack.upstream(name, upstream), { policy: { maxParallel: 2 } });
    const { jobId } = await stack.catalog.connectors.triggerReconcile({ connectorId });
    const sampling = sampled(jobId);
    const samples = await sampling;
    const ended = await stack.ended(jobId);
    expect(ended).toMatchObject({ state: JobState.JS_SUCCEEDED, counters: { errors: 0n } });
    expect(countersOf(ended).filesIngested).toBe(BigInt(upstream.tables * upstream.files));
    expect(samples.length).toBeGreaterThan(20);
    for (const counter of ['query', 'api', 'details'] as const) {
      const values = samples.map((sample) => sample[counter]);
      expect([counter, values]).toEqual([counter, [...values].sort((a, b) => a - b)]);
      expect([counter, longestRest(samples, counter)]).toEqual([counter, expect.any(Number)]);
      expect([counter, longestRest(samples, counter) < MAX_AGE_MS + TOLERANCE_MS]).toEqual([counter, true]);
    }
    // What the API shows, the query has shown shortly before or shows soon.
    for (const { at, api } of samples) {
      const around = samples.filter((sample) => Math.abs(sample.at - at) < MAX_AGE_MS).map(({ query }) => query);
      expect(api).toBeGreaterThanOrEqual(Math.min(...around));
      expect(api).toBeLessThanOrEqual(Math.max(...around));
    }
  },
  240_000,
);
