/**
 * How many sync services use Temporal: one activity, or one child workflow with one activity, per table at every run. The activity is this
 * project's own `ingestTable` on its own workers, so only the use of Temporal differs.
 */

import { condition, executeChild, proxyActivities } from '@temporalio/workflow';
import type { IngestActivities, IngestInput } from '../../src/contract/activities.ts';
import type { TableRef } from '../../src/contract/upstream-names.ts';

export interface PeerInput {
  connectorId: string;
  tables: TableRef[];
  /** How many tables are processed at a time. */
  parallel: number;
}

const { ingestTable } = proxyActivities<Pick<IngestActivities, 'ingestTable'>>({
  taskQueue: 'reconciler-ingest',
  startToCloseTimeout: '10m',
});

/** One activity per table. */
export const activityPerTable = (input: PeerInput) =>
  forEach(input, (table) => ingestTable(ingestOf(input.connectorId, table)));

/** One child workflow per table. */
export const childPerTable = (input: PeerInput) =>
  forEach(input, (table) => executeChild(syncTable, { args: [input.connectorId, table] }));

export async function syncTable(connectorId: string, table: TableRef): Promise<void> {
  await ingestTable(ingestOf(connectorId, table));
}

/** Without a claim, so that nothing is compared with it. */
function ingestOf(connectorId: string, table: TableRef): IngestInput {
  const input: Omit<IngestInput, 'epoch'> = {
    connectorId,
    table,
    full: false,
    split: false,
    step: '',
    sliceSeconds: 600,
  };
  return input as IngestInput;
}

async function forEach({ tables, parallel }: PeerInput, work: (table: TableRef) => Promise<unknown>): Promise<void> {
  let running = 0;
  for (const table of tables) {
    await condition(() => running < parallel);
    running += 1;
    void work(table).finally(() => {
      running -= 1;
    });
  }
  await condition(() => running === 0);
}
