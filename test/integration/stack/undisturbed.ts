import { expect } from '@jest/globals';
import { JobState } from '../../../src/generated/reconciler/v1/jobs.ts';
import { copiedWarehouse } from '../contents/copied-warehouse.ts';
import { dumpCatalog } from '../contents/dump.ts';
import { RunningStack } from './running-stack.ts';

/** A stack, a warehouse, and the content that an undisturbed run ingested. A disturbed run must end with the same content. */
export interface Undisturbed extends AsyncDisposable {
  stack: RunningStack;
  /** The warehouse's folder. */
  folder: string;
  dump: Record<string, string>;
}

/** @param copies number of copies of the fixture tables; it determines how long a run lasts and whether tables are packed */
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
