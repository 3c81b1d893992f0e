import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import { inWorker, type WorkerContext } from '../../src/activities/runtime/worker-context.ts';
import type { JobRecord } from '../../src/contract/activities.ts';
import { newProgress } from '../synthetic/new-progress.ts';

/** What the inputs of activities have in common. Their slice does not end during a test. */
export const STEP = { epoch: 1, step: 'step', sliceSeconds: 3600 };

/** The record of a running job. */
export function jobRecord(connectorId: string, fields: Partial<JobRecord> = {}): JobRecord {
  return {
    jobId: `job of ${connectorId}`,
    runId: 'run',
    connectorId,
    connectorName: 'lake',
    message: '',
    progress: { ...newProgress(), state: 'JS_RUNNING' },
    failures: [],
    ...fields,
  };
}

type Info = ConstructorParameters<typeof MockActivityEnvironment>[0];

export function environment(info: Info = {}): MockActivityEnvironment {
  return new MockActivityEnvironment(info, { logger: new DefaultLogger('ERROR') });
}

/** Runs an attempt of an activity. @returns its outcome */
export function run<T>(work: () => Promise<T>, info: Info = {}): Promise<T> {
  return environment(info).run(work);
}

/**
 * Runs an attempt of an activity that sends a heartbeat whenever it reports progress.
 *
 * @returns its outcome or error, and the details of its heartbeats as the next attempt would get them
 */
export async function attempt<T>(work: () => Promise<T>, info: Info = {}, context: Partial<WorkerContext> = {}) {
  const env = environment(info);
  const heartbeats: unknown[] = [];
  env.on('heartbeat', (details: unknown) => heartbeats.push(throughJson(details)));
  const [outcome] = await Promise.allSettled([env.run(() => inWorker({ heartbeatMs: 0, ...context }, work))]);
  return { outcome, heartbeats, last: heartbeats.at(-1) };
}

/** As a history or a heartbeat has it. */
export function throughJson<T>(value: T): T {
  return value === undefined ? value : JSON.parse(JSON.stringify(value));
}
