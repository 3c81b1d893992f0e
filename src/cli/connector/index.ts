import type { Command } from 'commander';
import { addCreate } from './create.ts';
import { addDelete } from './delete.ts';
import { addGet } from './get.ts';
import { addList } from './list.ts';
import { addPause } from './pause.ts';
import { addResume } from './resume.ts';
import { addTrigger } from './trigger.ts';
import { addUpdate } from './update.ts';
import { addValidate } from './validate.ts';

export function define(group: Command): void {
  for (const add of [addCreate, addGet, addList, addUpdate, addPause, addResume, addDelete, addValidate, addTrigger])
    add(group);
}
