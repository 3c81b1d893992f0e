/**
 * Records histories of the reconcile workflow, one per path through it, for test/workflows/replay.test.ts. Run it only after an intended
 * incompatible change of the workflow, before a release: npx tsx test/histories/record.ts
 */

import { cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { TASK_QUEUE } from '../../src/contract/names.ts';
import { countersOf } from '../../src/contract/progress-message.ts';
import { ROOT, RunningStack } from '../integration/stack/running-stack.ts';
import { saveHistory } from './save-history.ts';

const FIXTURES = join(ROOT, 'test/fixtures/iceberg');

await using stack = await RunningStack.start();
const warehouse = mkdtempSync(join(tmpdir(), 'reconciler-warehouse-'));
try {
  const wh = await stack.connect('partial', join(FIXTURES, 'wh'));
  await save('partial-failure', (await stack.trigger(wh)).jobId);

  const fs = await stack.connect('good', join(FIXTURES, 'fs'));
  await save('first-run', (await stack.trigger(fs)).jobId);
  await save('unchanged', (await stack.trigger(fs)).jobId);
  await save('full', (await stack.trigger(fs, { full: true })).jobId);
  await save('narrowed', (await stack.trigger(fs, { destinationTableName: 'gz' })).jobId);

  const nothing = await stack.connect('nothing', mkdtempSync(join(warehouse, 'empty-')));
  await save('no-table', (await stack.trigger(nothing)).jobId);

  // 230 tables: beyond 20 changed ones, tables are packed, and the damaged tables of a pack are retried one by one.
  for (let i = 0; i < 115; i++) {
    const namespace = join(warehouse, 'many', `ns${String(i).padStart(3, '0')}`);
    mkdirSync(namespace, { recursive: true });
    cpSync(join(FIXTURES, 'wh/fx/orders/metadata'), join(namespace, 'orders/metadata'), { recursive: true });
    const bad = i % 20 === 19 ? 'wh/bad/truncated_metadata' : 'wh/fx/empty';
    cpSync(join(FIXTURES, bad, 'metadata'), join(namespace, 'second/metadata'), { recursive: true });
  }
  const many = await stack.connect('many', join(warehouse, 'many'));
  const { jobId } = await stack.catalog.connectors.triggerReconcile({ connectorId: many });
  await until(jobId);
  // Two jobs wait for the connector. One is cancelled, and the other claims it.
  const waiting = await stack.catalog.connectors.triggerReconcile({ connectorId: many });
  const cancelled = await stack.catalog.connectors.triggerReconcile({ connectorId: many, full: true });
  await stack.catalog.jobs.cancelReconcileJob({ jobId: cancelled.jobId });
  await stack.ended(jobId);
  await save('packed', jobId);
  await stack.ended(waiting.jobId);
  await save('waited-for-the-connector', waiting.jobId);
  await stack.ended(cancelled.jobId);
  await save('cancelled-while-waiting', cancelled.jobId);

  const again = await stack.catalog.connectors.triggerReconcile({ connectorId: many, full: true });
  await until(again.jobId);
  await stack.catalog.jobs.cancelReconcileJob({ jobId: again.jobId });
  await stack.ended(again.jobId);
  await save('cancelled-while-running', again.jobId);

  const byHand = await stack.temporal.workflow.start('reconcile', {
    workflowId: 'by-hand',
    taskQueue: TASK_QUEUE,
    args: [{ connector: 'nobody' }],
  });
  await byHand.result().catch(() => {});
  await save('unknown-connector', 'by-hand');
} finally {
  rmSync(warehouse, { recursive: true, force: true });
}

/** Waits until the job has scanned tables. */
async function until(jobId: string): Promise<void> {
  for (;;) {
    const { tablesScanned } = countersOf(await stack.catalog.connectors.getReconcileJob({ jobId }));
    if (tablesScanned > 0n) return;
  }
}

function save(name: string, workflowId: string): Promise<void> {
  return saveHistory(stack, name, workflowId);
}
