import { afterAll, beforeAll, expect, it } from 'vitest';
import { JobState } from '../../src/generated/reconciler/v1/jobs.ts';
import { copiedWarehouse } from './copied-warehouse.ts';
import { dumpCatalog } from './dump.ts';
import { RunningStack } from './running-stack.ts';

/** Copies of the fixture tables: enough that a run lasts some seconds, and that tables are packed. */
const COPIES = 6;

let stack: RunningStack;
let warehouse: ReturnType<typeof copiedWarehouse>;
let undisturbed: Record<string, string>;

beforeAll(async () => {
  warehouse = copiedWarehouse(COPIES);
  stack = await RunningStack.start();
  const job = await stack.trigger(await stack.connect('undisturbed', warehouse.folder));
  expect(job).toMatchObject({ state: JobState.JS_SUCCEEDED, errors: 0n });
  undisturbed = await dumpCatalog(stack.catalog, 'undisturbed');
  expect(Object.keys(undisturbed).length).toBeGreaterThan(COPIES);
}, 300_000);

afterAll(async () => {
  await stack?.[Symbol.asyncDispose]();
  warehouse?.[Symbol.dispose]();
});

it.each(['worker', 'catalog', 'temporal'])(
  'goes on by itself after kill -9 of the %s in mid-ingest',
  async (name) => {
    const connectorId = await stack.connect(`without-${name}`, warehouse.folder);
    const { jobId } = await stack.catalog.connectors.triggerReconcile({ connectorId });
    await until(async () => {
      const job = await stack.catalog.connectors.getReconcileJob({ jobId });
      return job.tablesChanged > 5n;
    });
    const { status } = await stack.temporal.workflow.getHandle(jobId).describe();
    expect(status.name).toBe('RUNNING');
    const pid = stack.pids()[name]!;
    process.kill(pid, 'SIGKILL');

    const job = await stack.ended(jobId);
    expect(job).toMatchObject({ state: JobState.JS_SUCCEEDED, errors: 0n });
    expect(job.tablesScanned).toBe(BigInt(Object.keys(undisturbed).length));
    expect(stack.pids()[name]).not.toBe(pid);
    expect(await dumpCatalog(stack.catalog, `without-${name}`)).toEqual(undisturbed);
  },
  300_000,
);

async function until(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, 20));
}
