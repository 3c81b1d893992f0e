import type { ChildProcess } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { JobState, type ReconcileJob } from '../../../src/generated/reconciler/v1/jobs.ts';
import { ScheduleStatus } from '../../../src/generated/reconciler/v1/schedules.ts';
import { poll } from '../../jest/poll.ts';
import { differences } from '../contents/compare-truth.ts';
import { copiedWarehouse } from '../contents/copied-warehouse.ts';
import { dumpCatalog } from '../contents/dump.ts';
import { readTruth } from '../contents/truth.ts';
import { Processes } from '../stack/processes.ts';
import { ROOT } from '../stack/running-stack.ts';

/** Tables in two states, each with what other engines report of it: `before` has an earlier state of the tables in `wh`. */
const MADE = join(ROOT, 'test/fixtures/made/iceberg');
const { JS_SUCCEEDED, JS_FAILED } = JobState;
const RESTORED = /; verified in full, since the catalog was restored from a backup \(20\d\d-/;

let processes: Processes;
let catalog: ChildProcess;
let warehouse: string;
beforeAll(async () => {
  warehouse = mkdtempSync(join(tmpdir(), 'reconciler-warehouse-'));
  cpSync(join(MADE, 'before'), warehouse, { recursive: true });
  processes = await Processes.start();
  catalog = await processes.startCatalog();
  await processes.startWorker();
}, 120_000);
afterAll(async () => {
  await processes?.[Symbol.asyncDispose]();
  rmSync(warehouse, { recursive: true, force: true });
});

const databaseFile = () => join(processes.folder, 'catalog.db');
const backupFile = (name: string) => join(processes.folder, `${name}.backup`);

async function backUp(name: string): Promise<void> {
  const ran = await processes.cli(['backup', backupFile(name), '--database', databaseFile()]);
  expect(ran).toMatchObject({ code: 0, stderr: '' });
}

/** Kills the catalog service, restores a backup, and starts the service. */
async function restore(name: string): Promise<void> {
  await processes.stop(catalog);
  const ran = await processes.cli(['restore', backupFile(name), '--database', databaseFile()]);
  expect(ran).toMatchObject({ code: 0, stderr: '' });
  catalog = await processes.startCatalog();
}

async function run(connectorId: string, options: object = {}): Promise<ReconcileJob> {
  return processes.ended(await processes.trigger(connectorId, options));
}

const tableIdOf = async (text: string) =>
  (await processes.catalog.directory.resolve({ name: { $case: 'text', value: text }, object: true })).tableId;

describe('a catalog that was restored from a backup', () => {
  const hourly = { enabled: true, interval: { seconds: 3600n } };
  let connectorId: string;
  let lostConnectorId: string;
  /** What the catalog has if nothing is lost. */
  let undisturbed: Record<string, string>;
  const statusOf = async (id: string) =>
    (await processes.catalog.schedules.listSchedules({ connectorId: id })).schedules[0]?.status;
  const inTemporal = async () => {
    const ids: string[] = [];
    for await (const { scheduleId } of processes.temporal.schedule.list()) ids.push(scheduleId);
    return ids.sort();
  };

  it('has the schedules of its connectors, and not that of a connector that was lost', async () => {
    connectorId = await processes.connect('inc', warehouse, { policy: hourly });
    expect(await run(connectorId)).toMatchObject({ state: JS_SUCCEEDED, full: false });
    await backUp('first');
    // Everything from here on is lost.
    for (const table of readdirSync(join(warehouse, 'inc')).filter((name) => name !== 'unchanged')) {
      rmSync(join(warehouse, 'inc', table), { recursive: true });
      cpSync(join(MADE, 'wh/inc', table), join(warehouse, 'inc', table), { recursive: true });
    }
    expect(await run(connectorId)).toMatchObject({ state: JS_SUCCEEDED, full: false });
    undisturbed = await dumpCatalog(processes.catalog, 'inc');
    lostConnectorId = await processes.connect('lost', warehouse, { policy: hourly });
    await poll(() => statusOf(lostConnectorId), { timeout: 30_000 }).toBe(ScheduleStatus.SCHEDULE_STATUS_OK);
    await poll(inTemporal, { timeout: 30_000 }).toContain(`reconcile-${lostConnectorId}`);

    await restore('first');
    await poll(inTemporal, { timeout: 30_000 }).toEqual([`reconcile-${connectorId}`]);
    await poll(() => statusOf(connectorId), { timeout: 30_000 }).toBe(ScheduleStatus.SCHEDULE_STATUS_OK);
  });

  it('is not verified by jobs that read or write less than everything, though each of them verifies what it reads', async () => {
    for (const narrowed of [
      { dryRun: true },
      { destinationNamespacePaths: ['inc'], destinationTableName: 'unchanged' },
    ]) {
      const job = await run(connectorId, narrowed);
      expect({ narrowed, job }).toMatchObject({ job: { state: JS_SUCCEEDED, full: true } });
      expect(job.message).toMatch(RESTORED);
    }
  });

  it('has everything after the next complete job, which verifies everything', async () => {
    expect(await dumpCatalog(processes.catalog, 'inc')).not.toEqual(undisturbed);
    const job = await run(connectorId);
    expect(job).toMatchObject({ state: JS_SUCCEEDED, full: true, counters: { errors: 0n } });
    expect(job.message).toMatch(RESTORED);
    expect(await dumpCatalog(processes.catalog, 'inc')).toEqual(undisturbed);
    for (const [name, truth] of readTruth(join(MADE, 'truth'))) {
      if (!name.startsWith('inc.')) continue;
      const tableId = await tableIdOf(`inc.${name}`);
      expect({ name, found: await differences(processes.catalog, tableId, truth) }).toEqual({ name, found: [] });
    }
  });

  it('reads incrementally from then on', async () => {
    const job = await run(connectorId);
    expect(job).toMatchObject({ state: JS_SUCCEEDED, full: false, counters: { tablesChanged: 0n } });
    expect(job.message).toMatch(/^Nothing changed: \d+ tables$/);
  });

  it('finds a table that was rolled back and has the fingerprint that is in the backup', async () => {
    const folder = join(warehouse, 'inc/appended/metadata');
    const newest = join(
      folder,
      readdirSync(folder)
        .filter((name) => name.endsWith('.metadata.json'))
        .sort()
        .at(-1) as string,
    );
    const moment = new Date('2026-01-02T03:04:05Z');
    utimesSync(newest, moment, moment);
    await run(connectorId);
    await backUp('second');
    // The same name, size and time, but another snapshot is current.
    const text = readFileSync(newest, 'utf8');
    const current = /"current-snapshot-id"\s*:\s*(\d+)/.exec(text)?.[1] as string;
    const ids = [...text.matchAll(/"snapshot-id"\s*:\s*(\d+)/g)].map((match) => match[1] as string);
    const other = ids.find((id) => id !== current && id.length === current.length) as string;
    const { size } = statSync(newest);
    writeFileSync(
      newest,
      text
        .replace(new RegExp(`("current-snapshot-id"\\s*:\\s*)${current}`), `$1${other}`)
        .replace(new RegExp(`("main"\\s*:\\s*\\{[^}]*"snapshot-id"\\s*:\\s*)${current}`), `$1${other}`),
    );
    utimesSync(newest, moment, moment);
    expect(statSync(newest).size).toBe(size);
    const currentSnapshot = async () =>
      (await processes.catalog.tables.getTable({ tableId: await tableIdOf('inc.inc.appended') })).currentSnapshotId;
    // No incremental job can see it.
    expect(await run(connectorId)).toMatchObject({ counters: { tablesChanged: 0n } });
    expect(await currentSnapshot()).toBe(BigInt(current));

    await restore('second');
    expect(await run(connectorId)).toMatchObject({ state: JS_SUCCEEDED, counters: { tablesChanged: 1n } });
    expect(await currentSnapshot()).toBe(BigInt(other));
  });
});

describe('a backup that was taken while a job ingested', () => {
  const tables = copiedWarehouse(6);
  afterAll(() => tables[Symbol.dispose]());
  let connectorId: string;
  let truth: Record<string, string>;
  const begun = (jobId: string) => processes.until(jobId, ({ counters }) => (counters?.tablesChanged ?? 0n) > 0n);

  it('is good, and the job that it has as running counts as ended if it has ended since', async () => {
    connectorId = await processes.connect('many', tables.folder, { policy: { maxParallel: 2 } });
    const jobId = await processes.trigger(connectorId);
    await begun(jobId);
    await backUp('busy');
    const job = await processes.ended(jobId);
    expect(job).toMatchObject({ state: JS_SUCCEEDED });
    truth = await dumpCatalog(processes.catalog, 'many');

    await restore('busy');
    expect(await processes.ended(jobId)).toMatchObject({ state: JS_SUCCEEDED });
    const next = await run(connectorId);
    expect(next).toMatchObject({ state: JS_SUCCEEDED, full: true, counters: { errors: 0n } });
    expect(await dumpCatalog(processes.catalog, 'many')).toEqual(truth);
  }, 300_000);

  it('ends a job that it does not know and that runs when it is restored', async () => {
    const other = await processes.connect('others', tables.folder, { policy: { maxParallel: 1 } });
    await backUp('idle');
    const jobId = await processes.trigger(other);
    const workflow = processes.temporal.workflow.getHandle(jobId);
    await workflow.signal('pause');
    await processes.until(jobId, ({ paused, state }) => paused && state === JobState.JS_RUNNING);
    await restore('idle');
    await expect(processes.catalog.connectors.getReconcileJob({ jobId })).rejects.toThrow(/NOT_FOUND/);
    await workflow.signal('resume');
    const job = await processes.ended(jobId);
    expect(job).toMatchObject({ state: JS_FAILED });
    expect(job.message).toMatch(/^Failed: The catalog was restored from a backup \(.*\) after this job began/);
    await poll(async () => (await workflow.describe()).status.name).toBe('FAILED');
    const next = await run(other);
    expect(next).toMatchObject({ state: JS_SUCCEEDED, full: true, counters: { errors: 0n } });
    expect(await dumpCatalog(processes.catalog, 'others')).toEqual(truth);
  }, 300_000);
});
