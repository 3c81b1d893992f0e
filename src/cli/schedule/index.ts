import type { Command } from 'commander';
import { addList } from './list.ts';
import { addRepair } from './repair.ts';

export function define(group: Command): void {
  for (const add of [addList, addRepair]) add(group);
}
