import { join } from 'node:path';
import { expect } from '@jest/globals';
import { countersOf } from '../../../src/contract/progress-message.ts';
import type { JobChange, JobFailure, ReconcileJob } from '../../../src/generated/reconciler/v1/jobs.ts';
import type { RunningStack } from '../stack/running-stack.ts';
import { catalogContents } from './catalog-contents.ts';

export interface DryRun {
  job: ReconcileJob;
  changes: JobChange[];
  failures: JobFailure[];
}

/** Makes a dry run and checks that it has changed nothing in the catalog's database. */
export async function dryRun(stack: RunningStack, connectorId: string, options: object = {}): Promise<DryRun> {
  const file = join(stack.dataDir, 'catalog.db');
  const before = await catalogContents(file);
  const job = await stack.trigger(connectorId, { dryRun: true, ...options });
  expect(await catalogContents(file)).toEqual(before);
  expect(job.dryRun).toBe(true);
  expect(job.message).toMatch(/^Dry run: /);
  const { changes } = await stack.catalog.jobs.listJobChanges({ jobId: job.jobId, pageSize: 1000 });
  return { job, changes, failures: await stack.failures(job.jobId) };
}

/** Makes a dry run and then a real run, and checks that both have the same counters and the same failure codes per table. */
export async function dryThenReal(
  stack: RunningStack,
  connectorId: string,
  options: object = {},
): Promise<DryRun & { real: ReconcileJob }> {
  const dry = await dryRun(stack, connectorId, options);
  const real = await stack.trigger(connectorId, options);
  expect(counters(dry.job)).toEqual(counters(real));
  expect(real.dryRun).toBe(false);
  expect(failed(dry.failures)).toEqual(failed(await stack.failures(real.jobId)));
  expect((await stack.catalog.jobs.listJobChanges({ jobId: real.jobId })).changes).toEqual([]);
  return { ...dry, real };
}

/** Returns the counters that do not depend on reading files. */
function counters(job: ReconcileJob): object {
  const { filesIngested: _, bytesRead: __, upstreamRequests: ___, ...counted } = countersOf(job);
  return { ...counted, state: job.state };
}

const failed = (failures: JobFailure[]) => failures.map(({ table, code }) => ({ table, code }));

/** Formats a change as in `TABLE CREATE inc.orders: not in the catalog yet: 1 snapshot`. */
export const changeText = ({ kind, action, name, reason }: JobChange) =>
  `${kind.replace('JOB_CHANGE_KIND_', '')} ${action.replace('JOB_CHANGE_ACTION_', '')} ${name}: ${reason}`;
