import type { Command } from 'commander';
import { addCreate } from './create.ts';
import { addDelete } from './delete.ts';
import { addGet } from './get.ts';
import { addList } from './list.ts';
import { addUpdate } from './update.ts';

export function define(group: Command): void {
  for (const add of [addCreate, addGet, addList, addUpdate, addDelete]) add(group);
}
