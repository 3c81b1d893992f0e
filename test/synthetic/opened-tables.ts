import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { activityInfo } from '@temporalio/activity';
import type { TableRef } from '../../src/contract/upstream-names.ts';

/** An activity that began to read a table. It reads the next table of a pack after it has written this one. */
export interface OpenedTable {
  table: string;
  jobId: string;
  runId: string;
  activityId: string;
  attempt: number;
  /** In milliseconds; the worker's clock. */
  at: number;
}

/** Appends a line to the file, from within an activity. */
export function appendOpened(file: string, { name }: TableRef): void {
  const { workflowExecution, activityId, attempt } = activityInfo();
  const { workflowId: jobId, runId } = workflowExecution!;
  const opened: OpenedTable = { table: name, jobId, runId, activityId, attempt, at: Date.now() };
  appendFileSync(file, `${JSON.stringify(opened)}\n`);
}

/** The openings so far, in their order. */
export function openedTables(file: string): OpenedTable[] {
  if (!existsSync(file)) return [];
  // A line may still be incomplete.
  const lines = readFileSync(file, 'utf8').split('\n').slice(0, -1);
  return lines.map((line) => JSON.parse(line));
}
