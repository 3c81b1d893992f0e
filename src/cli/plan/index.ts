import type { Command } from 'commander';
import { addGet } from './get.ts';

export function define(group: Command): void {
  for (const add of [addGet]) add(group);
}
