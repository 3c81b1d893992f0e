import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import type { Progress } from '../../../src/contract/job.ts';
import { countersOf } from '../../../src/contract/progress-message.ts';
import { JobState } from '../../../src/generated/reconciler/v1/jobs.ts';
import { isUnanswered } from '../../../src/temporal/temporal-errors.ts';
import { SyntheticStack } from '../../synthetic/synthetic-stack.ts';

/** How old a counter may be, with some tolerance for this machine. */
const MAX_AGE_MS = 10_000;
const TOLERANCE_MS = 6_000;
const COUNTERS = ['query', 'api', 'details'] as const;

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

/**
 * Samples the counter of file changes every second, as the query, the API and the UI's details show it.
 *
 * @param onSample called after each sample, with all so far
 */
async function sampled(
  jobId: string,
  onSample: (samples: Sample[]) => Promise<void> = async () => {},
): Promise<Sample[]> {
  const handle = stack.temporal.workflow.getHandle(jobId);
  /** No worker answers a query while Temporal sends it to one that was killed. */
  async function query<T>(name: string): Promise<T> {
    for (;;) {
      try {
        return await handle.query<T>(name);
      } catch (error) {
        if (!isUnanswered(error)) throw error;
      }
    }
  }
  const samples: Sample[] = [];
  for (;;) {
    const job = await stack.job(jobId);
    const { state, counters } = await query<Progress>('progress');
    const { currentDetails } = await query<{ currentDetails: string }>('__temporal_workflow_metadata');
    if (state !== 'JS_QUEUED' && state !== 'JS_RUNNING') return samples;
    const details = Number(/\*\*(\d+)\*\* file changes/.exec(currentDetails)?.[1] ?? 0);
    const api = Number(countersOf(job).filesIngested);
    samples.push({ at: Date.now(), query: counters.filesIngested ?? 0, api, details });
    await onSample(samples);
    await sleep(1_000);
  }
}

/** The longest time between two changes of a counter, from the first sample on. */
function longestRest(samples: Sample[], counter: (typeof COUNTERS)[number]): number {
  let [changedAt, longest] = [samples[0]!.at, 0];
  for (const [i, sample] of samples.entries()) {
    longest = Math.max(longest, sample.at - changedAt);
    if (i > 0 && sample[counter] !== samples[i - 1]![counter]) changedAt = sample.at;
  }
  return longest;
}

/** No counter falls, wherever it is shown. */
function expectNoFall(samples: Sample[]): void {
  for (const counter of COUNTERS) {
    const values = samples.map((sample) => sample[counter]);
    expect([counter, values]).toEqual([counter, [...values].sort((a, b) => a - b)]);
  }
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
    expectNoFall(samples);
    for (const counter of COUNTERS) {
      expect(longestRest(samples, counter)).toBeLessThan(MAX_AGE_MS + TOLERANCE_MS);
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

it('counters do not fall when the worker is killed in the middle, and are complete at the end', async () => {
  const upstreams = {
    'killed in a huge table': { tables: 1, namespaces: 1, files: 400, batches: { size: 10, delayMs: 1_000 } },
    'killed in packs': { tables: 25, namespaces: 1, files: 5, batches: { size: 5, delayMs: 2_000 } },
  };
  const started = Object.entries(upstreams).map(async ([name, upstream]) => {
    const connectorId = await stack.connect(name, stack.upstream(name, upstream), { policy: { maxParallel: 1 } });
    const { jobId } = await stack.catalog.connectors.triggerReconcile({ connectorId });
    return { jobId, tables: upstream.tables, files: upstream.tables * upstream.files };
  });
  const jobs = await Promise.all(started);
  const all = new Map<string, Sample[]>();
  /** The number of samples of each job when its worker was killed. */
  let atKill: Map<string, number> | undefined;
  const sampling = jobs.map(({ jobId }) =>
    sampled(jobId, async (samples) => {
      all.set(jobId, samples);
      // The first slice has ended, and the one that runs has reported something.
      const isCounted = [...all.values()].every((of) => new Set(of.map(({ query }) => query)).size >= 3);
      if (atKill || all.size < jobs.length || !isCounted) return;
      atKill = new Map([...all].map(([job, of]) => [job, of.length]));
      await stack.replaceWorker();
    }),
  );
  for (const [i, { jobId, tables, files }] of jobs.entries()) {
    const samples = await sampling[i]!;
    expectNoFall(samples);
    const ended = await stack.ended(jobId);
    expect(ended).toMatchObject({ state: JobState.JS_SUCCEEDED, counters: { errors: 0n } });
    const { filesIngested, tablesScanned, tablesChanged, tablesUnchanged } = countersOf(ended);
    // The next attempt takes for unchanged what a pack has ingested after its last heartbeat.
    if (tables === 1) expect(filesIngested).toBe(BigInt(files));
    expect(Number(filesIngested)).toBeLessThanOrEqual(files);
    expect(tablesScanned).toBe(BigInt(tables));
    expect(tablesChanged + tablesUnchanged).toBe(BigInt(tables));
    // It was killed in the middle.
    const killed = atKill?.get(jobId) ?? 0;
    expect(samples[killed - 1]?.query).toBeLessThan(files);
    expect(samples.length).toBeGreaterThan(killed);
  }
}, 300_000);
