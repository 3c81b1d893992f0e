import type { Command } from 'commander';
import { addGet } from './get.ts';
import { addList } from './list.ts';

export function define(group: Command): void {
  for (const add of [addList, addGet]) add(group);
}
