import type { Command } from 'commander';
import { addColumns } from './columns.ts';
import { addFiles } from './files.ts';
import { addTable } from './table.ts';

export function define(group: Command): void {
  for (const add of [addTable, addColumns, addFiles]) add(group);
}
