import type { Command } from 'commander';
import { addCancel } from './cancel.ts';
import { addChanges } from './changes.ts';
import { addFailures } from './failures.ts';
import { addGet } from './get.ts';
import { addList } from './list.ts';
import { addReport } from './report.ts';
import { addRetry } from './retry.ts';
import { addWatch } from './watch.ts';

export function define(group: Command): void {
  for (const add of [addGet, addList, addWatch, addCancel, addRetry, addFailures, addChanges, addReport]) add(group);
}
