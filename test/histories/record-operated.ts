/**
 * Records histories of a paused job, a retry, a dry run, a job that drops missing tables, and a job that splits a table into file groups:
 * npx tsx test/histories/record-operated.ts
 */

import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ObjectKind } from '../../src/generated/reconciler/internal/v1/bindings.ts';
import { ConnectorState, MissingAction } from '../../src/generated/reconciler/v1/connectors.ts';
import { QueueWorkers } from '../integration/stack/queue-workers.ts';
import { ROOT, RunningStack } from '../integration/stack/running-stack.ts';
import { saveHistory } from './save-history.ts';

const FIXTURES = join(ROOT, 'test/fixtures/iceberg/wh');
const warehouse = mkdtempSync(join(tmpdir(), 'reconciler-warehouse-'));

await using stack = await RunningStack.start();
const { connectors, jobs } = stack.catalog;
try {
  // Pause the job before a worker starts it, and twice while it ingests packs.
  for (let i = 0; i < 400; i++) put('many', i, i % 130 === 29 ? 'bad/truncated_metadata' : 'fx/orders');
  const many = await stack.connect('many', join(warehouse, 'many'), { policy: { maxParallel: 2 } });
  const worker = stack.pids().worker!;
  process.kill(worker, 'SIGSTOP');
  const { jobId: paused } = await connectors.triggerReconcile({ connectorId: many });
  await pauseAndResume(many, paused, () => process.kill(worker, 'SIGCONT'));
  const kind = ObjectKind.OBJECT_KIND_TABLE;
  for (const tables of [3n, 90n]) {
    while ((await stack.catalog.bindings.countBindings({ connectorId: many, kind })).count < tables);
    await pauseAndResume(many, paused);
  }
  await stack.ended(paused);
  await saveHistory(stack, 'paused', paused);

  // Repair one of the three failed tables.
  put('many', 29, 'fx/orders');
  const { jobId: retry } = await jobs.retryReconcileJob({ jobId: paused });
  await stack.ended(retry);
  await saveHistory(stack, 'retry', retry);

  for (let i = 0; i < 3; i++) put('few', i, 'fx/orders');
  const few = await stack.connect('few', join(warehouse, 'few'), {
    policy: { missing: { action: MissingAction.MISSING_ACTION_DROP, dropAfter: { seconds: 0n }, maxShare: 1 } },
  });
  await stack.trigger(few);
  rmSync(join(warehouse, 'few/n/t000'), { recursive: true });
  put('few', 1, 'fx/refs');
  put('few', 3, 'bad/truncated_metadata');
  await saveHistory(stack, 'dry-run', (await stack.trigger(few, { dryRun: true })).jobId);
  await saveHistory(stack, 'dropped', (await stack.trigger(few)).jobId);

  const splitSize = { above: 9, group: 6 };
  await using _ = await QueueWorkers.start(stack, { queue: 'groups', workers: 1, splitSize });
  cpSync(join(ROOT, 'test/fixtures/made/iceberg/wh/mk/lineage'), join(warehouse, 'big/n/lineage'), { recursive: true });
  const big = await stack.connect('big', join(warehouse, 'big'), { policy: { taskQueue: 'groups' } });
  await saveHistory(stack, 'split', (await stack.trigger(big)).jobId);
} finally {
  rmSync(warehouse, { recursive: true, force: true });
}

function put(folder: string, i: number, fixture: string): void {
  const to = join(warehouse, folder, 'n', `t${String(i).padStart(3, '0')}`, 'metadata');
  rmSync(to, { recursive: true, force: true });
  cpSync(join(FIXTURES, fixture, 'metadata'), to, { recursive: true });
}

/** Pauses the connector, waits until its job is paused, and resumes it. */
async function pauseAndResume(connectorId: string, jobId: string, meanwhile = () => {}): Promise<void> {
  const set = (state: ConnectorState) =>
    connectors.updateConnector({ connector: { connectorId, state }, updateMask: ['state'] });
  await set(ConnectorState.CONNECTOR_STATE_PAUSED);
  meanwhile();
  while (!(await connectors.getReconcileJob({ jobId })).paused);
  await set(ConnectorState.CONNECTOR_STATE_ACTIVE);
  while ((await connectors.getReconcileJob({ jobId })).paused);
}
