import type { Command } from 'commander';
import { addList } from './list.ts';

export function define(group: Command): void {
  for (const add of [addList]) add(group);
}
