import type { Command } from 'commander';
import { addCreate } from './create.ts';
import { addList } from './list.ts';
import { addRevoke } from './revoke.ts';
import { addWhoami } from './whoami.ts';

export function define(group: Command): void {
  for (const add of [addCreate, addList, addRevoke, addWhoami]) add(group);
}
