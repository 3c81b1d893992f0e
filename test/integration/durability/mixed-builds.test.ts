import type { ChildProcess } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, expect, it } from '@jest/globals';
import { temporal } from '@temporalio/proto';
import { countersOf } from '../../../src/contract/progress-message.ts';
import { JobState } from '../../../src/generated/reconciler/v1/jobs.ts';
import { copiedWarehouse } from '../contents/copied-warehouse.ts';
import { dumpCatalog } from '../contents/dump.ts';
import { Processes } from '../stack/processes.ts';
import { ROOT } from '../stack/running-stack.ts';

/** The newer build packs tables beyond 20 changed ones, the older build beyond 50. With this many copies, a job exceeds both limits. */
const COPIES = 6;
const PATCH = 'pack-early';

let processes: Processes;
let warehouse: ReturnType<typeof copiedWarehouse>;
let undisturbed: Record<string, string>;
const started: ChildProcess[] = [];
let bins: Record<'older' | 'newer', string>;

beforeAll(async () => {
  warehouse = copiedWarehouse(COPIES);
  processes = await Processes.start();
  bins = {
    older: buildWith(join(processes.folder, 'older'), () => '50'),
    newer: buildWith(join(processes.folder, 'newer'), (patched) => `(${patched}('${PATCH}') ? 20 : 50)`),
  };
  await processes.startCatalog();
  const worker = await start('newer');
  const job = await processes.ended(await trigger('undisturbed'));
  expect(job).toMatchObject({ state: JobState.JS_SUCCEEDED, counters: { errors: 0n } });
  undisturbed = await dumpCatalog(processes.catalog, 'undisturbed');
  await processes.stop(worker, 'SIGTERM');
}, 300_000);
afterEach(async () => {
  for (const worker of started.splice(0)) await processes.stop(worker, 'SIGTERM');
});
afterAll(async () => {
  await processes?.[Symbol.asyncDispose]();
  warehouse?.[Symbol.dispose]();
});

/**
 * Copies this build and replaces the number of changed tables beyond which tables are packed.
 *
 * @param limit returns the number as JavaScript code; its argument is the name of the SDK's function `patched` in the workflow bundle
 * @returns the copy's `bin/reconciler.js`
 */
function buildWith(folder: string, limit: (patched: string) => string): string {
  cpSync(join(ROOT, 'dist'), join(folder, 'dist'), { recursive: true });
  cpSync(join(ROOT, 'package.json'), join(folder, 'package.json'));
  symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
  const bundle = join(folder, 'dist/workflow-bundle.js');
  const code = readFileSync(bundle, 'utf8');
  const sdk = /(\w+)\.makeContinueAsNewFunc\)\(\{/.exec(code)?.[1];
  const changed = code.replace('<= MAX_SINGLE_TABLES)', `<= ${limit(`(0,${sdk}.patched)`)})`);
  expect(changed).not.toBe(code);
  writeFileSync(bundle, changed);
  mkdirSync(join(folder, 'bin'));
  const bin = join(folder, 'bin/reconciler.js');
  writeFileSync(
    bin,
    `import { main } from '../dist/cli/main.js';\nprocess.exitCode = await main(process.argv.slice(2));\n`,
  );
  return bin;
}

async function start(build: keyof typeof bins): Promise<ChildProcess> {
  const worker = await processes.startWorkerOf(bins[build]);
  started.push(worker);
  return worker;
}

async function trigger(name: string): Promise<string> {
  const more = { destination: { catalogName: name }, policy: { maxParallel: 1 } };
  return processes.trigger(await processes.connect(name, warehouse.folder, more));
}

const job = (jobId: string) => processes.catalog.connectors.getReconcileJob({ jobId });
const eventsOf = async (jobId: string) =>
  (await processes.temporal.workflow.getHandle(jobId).fetchHistory()).events ?? [];
/** Whether a build with the patch has recorded its marker in the history. */
const isPatched = async (jobId: string) =>
  (await eventsOf(jobId)).some(({ markerRecordedEventAttributes: marker }) =>
    Buffer.from(marker?.details?.['patch-data']?.payloads?.[0]?.data ?? '').includes(PATCH),
  );

/** Compares the catalog's content, because tables that a killed worker had ingested count as unchanged in the counters. */
async function expectUndisturbed(name: string, jobId: string): Promise<void> {
  expect(await processes.ended(jobId)).toMatchObject({
    state: JobState.JS_SUCCEEDED,
    counters: { errors: 0n, tablesScanned: BigInt(Object.keys(undisturbed).length) },
  });
  // The connector is released after the job's record is written.
  await until(async () => (await processes.temporal.workflow.getHandle(jobId).describe()).status.name === 'COMPLETED');
  expect(await dumpCatalog(processes.catalog, name)).toEqual(undisturbed);
}

it('the newer build continues a run of the older build', async () => {
  const older = await start('older');
  const jobId = await trigger('begun-by-older');
  await until(async () => countersOf(await job(jobId)).tablesChanged > 5n);
  await processes.stop(older, 'SIGKILL');
  expect(await isPatched(jobId)).toBe(false);
  await start('newer');
  await expectUndisturbed('begun-by-older', jobId);
}, 400_000);

it('a run of the newer build makes no progress on the older build, and completes when the newer build is back', async () => {
  const newer = await start('newer');
  const jobId = await trigger('begun-by-newer');
  await until(() => isPatched(jobId));
  await processes.stop(newer, 'SIGTERM');
  await start('older');
  const { WORKFLOW_TASK_FAILED_CAUSE_NON_DETERMINISTIC_ERROR: differs } = temporal.api.enums.v1.WorkflowTaskFailedCause;
  await until(async () =>
    (await eventsOf(jobId)).some((event) => event.workflowTaskFailedEventAttributes?.cause === differs),
  );
  expect((await job(jobId)).state).toBe(JobState.JS_RUNNING);
  await start('newer');
  await expectUndisturbed('begun-by-newer', jobId);
}, 400_000);

it('jobs succeed and the catalog is complete while workers of both builds run side by side and restart in turn', async () => {
  const workers = { older: await start('older'), newer: await start('newer') };
  const names = ['one', 'two', 'three'];
  const jobs = await Promise.all(names.map(trigger));
  const changed = async () =>
    (await Promise.all(jobs.map(job))).reduce((sum, job) => sum + Number(countersOf(job).tablesChanged), 0);
  const all = Object.keys(undisturbed).length * names.length;
  for (const [build, signal, share] of [
    ['newer', 'SIGTERM', 0.1],
    ['older', 'SIGTERM', 0.2],
    ['newer', 'SIGKILL', 0.3],
    ['older', 'SIGKILL', 0.5],
  ] as const) {
    await until(async () => (await changed()) >= all * share);
    await processes.stop(workers[build], signal);
    workers[build] = await start(build);
  }
  for (const [i, name] of names.entries()) await expectUndisturbed(name, jobs[i]!);
}, 600_000);

async function until(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition())) await sleep(50);
}
