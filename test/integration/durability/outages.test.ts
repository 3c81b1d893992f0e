import { execFileSync } from 'node:child_process';
import { appendFileSync, mkdirSync, readFileSync, rmSync, statSync, symlinkSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { ObjectKind } from '../../../src/generated/reconciler/internal/v1/bindings.ts';
import { JobState } from '../../../src/generated/reconciler/v1/jobs.ts';
import { dumpCatalog } from '../contents/dump.ts';
import { RunningStack } from '../stack/running-stack.ts';
import { startUndisturbed, type Undisturbed } from '../stack/undisturbed.ts';

/** Longer than the heartbeat timeout of 60 s and the start-to-close timeout of control activities. */
const OUTAGE_MS = 75_000;
const COPIES = 6;

let base: Undisturbed;
let stack: RunningStack;
beforeAll(async () => {
  base = await startUndisturbed(COPIES);
  stack = base.stack;
}, 300_000);
afterAll(async () => base?.[Symbol.asyncDispose]());

it('a job continues after Temporal was frozen for longer than every timeout', async () => {
  const connectorId = await stack.connect('temporal-stood-still', base.folder);
  const { jobId } = await stack.catalog.connectors.triggerReconcile({ connectorId });
  const kind = ObjectKind.OBJECT_KIND_TABLE;
  const tables = async () => Number((await stack.catalog.bindings.countBindings({ connectorId, kind })).count);
  await until(async () => (await tables()) > 3);
  expect(await tables()).toBeLessThan(Object.keys(base.dump).length);
  const temporal = stack.pids().temporal!;
  process.kill(temporal, 'SIGSTOP');
  await sleep(OUTAGE_MS);
  // The catalog still answers, from the job's record.
  expect((await stack.catalog.connectors.getReconcileJob({ jobId })).state).toBe(JobState.JS_RUNNING);
  process.kill(temporal, 'SIGCONT');
  expect(await stack.ended(jobId)).toMatchObject({ state: JobState.JS_SUCCEEDED, counters: { errors: 0n } });
  expect(stack.pids().temporal).toBe(temporal);
  expect(await dumpCatalog(stack.catalog, 'temporal-stood-still')).toEqual(base.dump);
}, 400_000);

it('a job waits for a slow catalog', async () => {
  const connectorId = await stack.connect('slow-catalog', base.folder);
  const { jobId } = await stack.catalog.connectors.triggerReconcile({ connectorId });
  const catalog = stack.pids().catalog!;
  // The catalog runs for a fifth of the time, so each call for a larger table is interrupted several times.
  for (let i = 0; i < 12; i++) {
    process.kill(catalog, 'SIGSTOP');
    await sleep(1_200);
    process.kill(catalog, 'SIGCONT');
    await sleep(300);
  }
  expect(await stack.ended(jobId)).toMatchObject({ state: JobState.JS_SUCCEEDED, counters: { errors: 0n } });
  expect(await dumpCatalog(stack.catalog, 'slow-catalog')).toEqual(base.dump);
}, 300_000);

it('a job waits while the disk of the catalog is full', async () => {
  const disk = join(base.folder, '..', `reconciler-disk-${process.pid}`);
  mkdirSync(disk);
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64m', 'tmpfs', disk]);
  try {
    await using small = await RunningStack.start({}, process.execPath, (dataDir) =>
      symlinkSync(join(disk, 'catalog.db'), join(dataDir, 'catalog.db')),
    );
    const connectorId = await small.connect('small-disk', base.folder);
    const filler = join(disk, 'filler');
    expect(() => {
      for (;;) appendFileSync(filler, Buffer.alloc(256 * 1024));
    }).toThrow(/ENOSPC/);
    // 2 MiB are enough for the job to start; its tables need about 12 MiB.
    truncateSync(filler, statSync(filler).size - 2 * 1024 * 1024);
    const { jobId } = await small.catalog.connectors.triggerReconcile({ connectorId });
    const log = join(small.dataDir, 'logs', 'catalog.log');
    await until(async () => readFileSync(log, 'utf8').includes('the disk of the database is full'));
    await sleep(5_000);
    expect((await small.catalog.connectors.getReconcileJob({ jobId })).state).toBe(JobState.JS_RUNNING);
    rmSync(filler);
    expect(await small.ended(jobId)).toMatchObject({ state: JobState.JS_SUCCEEDED, counters: { errors: 0n } });
    expect(await dumpCatalog(small.catalog, 'small-disk')).toEqual(base.dump);
  } finally {
    execFileSync('umount', [disk]);
    rmSync(disk, { recursive: true });
  }
}, 300_000);

async function until(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition())) await sleep(20);
}
