import { expect } from '@jest/globals';
import { JobState } from '../../../src/generated/reconciler/v1/jobs.ts';
import { copiedWarehouse } from '../contents/copied-warehouse.ts';
import { dumpCatalog } from '../contents/dump.ts';
import { RunningStack } from './running-stack.ts';

/** A stack, a warehouse, and what a run that nothing disturbed brought in of it: what a disturbed one must end with. */
export interface Undisturbed extends AsyncDisposable {
  stack: RunningStack;
  /** Of the warehouse. */
  folder: string;
  dump: Record<string, string>;
}

/** @param copies of the fixture tables: enough that a run lasts some seconds, and that tables are packed */
export async function startUndisturbed(copies: number): Promise<Undisturbed> {
  const warehouse = copiedWarehouse(copies);
  const stack = await RunningStack.start();
  const job = await stack.trigger(await stack.connect('undisturbed', warehouse.folder));
  expect(job).toMatchObject({ state: JobState.JS_SUCCEEDED, counters: { errors: 0n } });
  const dump = await dumpCatalog(stack.catalog, 'undisturbed');
  expect(Object.keys(dump).length).toBeGreaterThan(copies);
  return {
    ...{ stack, folder: warehouse.folder, dump },
    async [Symbol.asyncDispose]() {
      await stack[Symbol.asyncDispose]();
      warehouse[Symbol.dispose]();
    },
  };
}
