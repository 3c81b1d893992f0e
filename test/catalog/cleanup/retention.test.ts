import { setTimeout as pause } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { removeJobs } from '../../../src/catalog/store/cleanup/remove-jobs.ts';
import { removeStages } from '../../../src/catalog/store/cleanup/remove-stages.ts';
import { openDatabase } from '../../../src/catalog/store/database/database.ts';
import { scopedTo } from '../../../src/catalog/store/database/scoped.ts';
import { Sqlite } from '../../../src/catalog/store/database/sqlite.ts';
import { write } from '../../../src/catalog/store/database/transaction.ts';
import { putJob } from '../../../src/catalog/store/jobs/jobs.ts';
import {
  JobChangeAction,
  JobChangeKind,
  JobFailureKind,
  JobState,
  ReconcileJob,
} from '../../../src/generated/reconciler/v1/jobs.ts';
import { poll } from '../../jest/poll.ts';
import { scrape, sum } from '../../telemetry/samples.ts';
import { added, TestTable } from '../files.ts';
import { connectorSpec, failure, refusal, TestCatalog } from '../harness.ts';
import { DAY, HOUR, MachineClock, MINUTE } from '../machine-clock.ts';

const RETENTION = { jobsMs: 90 * DAY, reportsMs: 14 * DAY, idempotencyKeysMs: 7 * DAY, stagesMs: 7 * DAY };

let machine: MachineClock;
let catalog: TestCatalog;
beforeEach(async () => {
  machine = new MachineClock();
  catalog = await TestCatalog.start({ metricsAddress: '127.0.0.1:0', retention: RETENTION });
});
afterEach(async () => {
  await catalog[Symbol.asyncDispose]();
  machine.restore();
});

function query(sql: string): Record<string, unknown>[] {
  const db = new Sqlite(catalog.file, { readonly: true });
  try {
    return db.prepare(sql).all() as Record<string, unknown>[];
  } finally {
    db.close();
  }
}
const count = (table: string) => query(`select count(*) as n from ${table}`)[0]?.n;

let connectors = 0;
const create = (fields: object = {}) =>
  catalog.clients.connectors.createConnector({
    connector: connectorSpec({ displayName: `c${++connectors}`, ...fields }),
  });
type Connector = Awaited<ReturnType<typeof create>>;

interface Ended extends Record<string, unknown> {
  request?: object;
  failures?: object[];
}

let jobs = 0;
/** Runs a job of the connector, which takes a minute. */
async function run({ connectorId, displayName }: Connector, ended: Ended = {}): Promise<string> {
  const { request = {}, failures = [], ...fields } = ended;
  const jobId = `job-${++jobs}`;
  const job = { jobId, connectorId, connectorName: displayName, requestJson: JSON.stringify(request), ...fields };
  await catalog.claim(connectorId, jobId, job);
  machine.pass(MINUTE);
  const record = { state: JobState.JS_SUCCEEDED, ...job };
  await catalog.clients.reconciliation.endJob({ job: record, connectorId, failures } as never);
  return jobId;
}

async function repeat(times: number, what: () => Promise<string>): Promise<string[]> {
  const ids: string[] = [];
  for (let i = 0; i < times; i += 1) ids.push(await what());
  return ids;
}

const listed = async (connectorId: string) =>
  (await catalog.clients.jobs.listReconcileJobs({ connectorId, pageSize: 1000 })).jobs.map(({ jobId }) => jobId);

const KINDS = ['jobs', 'failures', 'changes', 'outcomes', 'idempotency_keys', 'stages', 'drafts'];
/** Starts the service again, and waits until it has removed what is old. @returns how much that was, by kind */
async function removed(): Promise<Record<string, number>> {
  const before = catalog.retentions;
  await catalog.restart();
  await poll(() => catalog.retentions, { timeout: 30_000 }).toBeGreaterThan(before);
  const samples = await scrape(catalog.aside.metricsAddress as string);
  const counts = KINDS.map(
    (kind) => [kind, sum(samples, 'reconciler_retention_removed_total', { kind }) ?? 0] as const,
  );
  return Object.fromEntries(counts.filter(([, n]) => n > 0));
}

const TABLE_FAILED = { code: 'DATA_LOSS', message: 'broken', kind: JobFailureKind.JOB_FAILURE_KIND_TABLE };
const change = (name: string) => ({
  kind: JobChangeKind.JOB_CHANGE_KIND_TABLE,
  action: JobChangeAction.JOB_CHANGE_ACTION_CREATE,
  name,
  destination: `main.${name}`,
  reason: 'new',
});

describe('jobs', () => {
  it('are removed 90 days after they ended, with their failures, but the last 20 of a connector stay', async () => {
    const [connector, other] = [await create(), await create()];
    const failures = [{ table: 'a.b', ...TABLE_FAILED }];
    const old = await repeat(15, () => run(connector, { state: JobState.JS_FAILED, failures }));
    const few = await repeat(3, () => run(other));
    machine.pass(DAY);
    const later = await repeat(22, () => run(connector));
    machine.pass(89 * DAY + HOUR);
    expect(await removed()).toEqual({ jobs: 14, failures: 14 });
    // The last failed job of the connector stays, since it determines the connector's status together with the last good one.
    expect(await listed(connector.connectorId)).toEqual([...later.toReversed(), old[14]]);
    expect(await listed(other.connectorId)).toEqual(few.toReversed());
    expect(count('job_runs')).toBe(26);
    machine.pass(DAY);
    expect(await removed()).toEqual({ jobs: 2 });
    expect(await listed(connector.connectorId)).toEqual([...later.slice(2).toReversed(), old[14]]);
  });

  it('of a deleted connector are all removed, and so are those of no connector', async () => {
    const connector = await create();
    await repeat(3, () => run(connector));
    await catalog.clients.connectors.deleteConnector({ connectorId: connector.connectorId });
    const job = { jobId: 'of-nothing', connectorName: 'misspelt', state: JobState.JS_FAILED };
    await catalog.clients.reconciliation.recordJob({ job });
    machine.pass(89 * DAY);
    expect(await removed()).toEqual({});
    machine.pass(2 * DAY);
    expect(await removed()).toEqual({ jobs: 4 });
  });

  it('that are needed stay: those of the status, of the last alert, and those that are being retried', async () => {
    const connector = await create({ alerts: { webhookUrl: 'https://hooks.example.com/x' } });
    const good = await run(connector);
    const alerted = await run(connector, { state: JobState.JS_FAILED });
    await run(connector, { state: JobState.JS_FAILED });
    const lastFailed = await run(connector, { state: JobState.JS_FAILED });
    const repaired = await run(connector, { request: { retryOf: lastFailed } });
    const scope = { scope: { table: 't' } };
    const retried = await run(connector, { state: JobState.JS_FAILED, request: scope });
    await repeat(25, () => run(connector, { request: scope }));
    machine.pass(91 * DAY);
    const { connectorId, displayName } = connector;
    const retry = {
      jobId: 'retry',
      retryOfJobId: retried,
      requestJson: JSON.stringify({ retryOf: retried, ...scope }),
    };
    await catalog.claim(connectorId, 'retry', { connectorId, connectorName: displayName, ...retry });
    expect(await removed()).toEqual({ jobs: 7 });
    expect((await listed(connectorId)).slice(-5)).toEqual([retried, repaired, lastFailed, alerted, good]);
  });

  it('that show whether the last run failed stay, however many partial runs and retries follow', async () => {
    const [failing, repaired] = [await create(), await create()];
    const scoped = { request: { scope: { table: 't' } } };
    const status = async () => {
      const samples = await scrape(catalog.aside.metricsAddress as string);
      const failed = (connector: string) => sum(samples, 'reconciler_connector_last_run_failed', { connector });
      return [failed(failing.displayName), failed(repaired.displayName)];
    };
    const failed: string[] = [];
    for (const connector of [failing, repaired]) {
      await run(connector);
      const first = await run(connector, { state: JobState.JS_FAILED });
      const again = await run(connector, { state: JobState.JS_FAILED, request: { retryOf: first } });
      failed.push(first, again);
    }
    const repair = await run(repaired, { request: { retryOf: failed[3] } });
    // Neither of them belongs to the last whole run.
    for (const connector of [failing, repaired]) {
      await run(connector, { state: JobState.JS_FAILED, request: { mode: 'METADATA_ONLY' } });
      await run(connector, { request: { retryOf: 'older' } });
      await repeat(25, () => run(connector, scoped));
    }
    expect(await status()).toEqual([1, 0]);
    machine.pass(91 * DAY);
    await removed();
    expect(await status()).toEqual([1, 0]);
    const kept = [...(await listed(failing.connectorId)), ...(await listed(repaired.connectorId))];
    expect(kept).toEqual(expect.arrayContaining([...failed, repair]));
  });

  it('are not removed because the clock jumped', async () => {
    const connector = await create();
    await repeat(25, () => run(connector));
    machine.jump(100 * DAY);
    expect(await removed()).toEqual({});
    machine.pass(91 * DAY);
    expect(await removed()).toEqual({ jobs: 5 });
  });

  it('that were removed are not found, and the error names the setting', async () => {
    const connector = await create();
    const gone = await run(connector);
    await repeat(25, () => run(connector));
    const page = { connectorId: connector.connectorId, pageSize: 25 };
    const { nextPageToken } = await catalog.clients.jobs.listReconcileJobs(page);
    machine.pass(91 * DAY);
    await removed();
    const { clients } = catalog;
    const refused = refusal('NOT_FOUND', 'RECONCILER_RETENTION_JOBS');
    expect(await failure(clients.connectors.getReconcileJob({ jobId: gone }))).toEqual(refused);
    expect(await failure(clients.jobs.listJobFailures({ jobId: gone }))).toEqual(refused);
    expect(await failure(clients.jobs.listJobChanges({ jobId: gone }))).toEqual(refused);
    expect(await failure(clients.jobs.retryReconcileJob({ jobId: gone }))).toEqual(refused);
    expect(await failure(clients.jobs.cancelReconcileJob({ jobId: gone }))).toEqual(refused);
    const next = clients.jobs.listReconcileJobs({ ...page, pageToken: nextPageToken });
    expect(await failure(next)).toEqual(refusal('NOT_FOUND', 'start with the first page'));
  });

  it('are removed in steps of at most 1,000 rows', async () => {
    const connector = await create();
    const failures = Array.from({ length: 500 }, (_, i) => ({ table: `a.t${i}`, ...TABLE_FAILED }));
    const old = await repeat(30, () => run(connector));
    const many = Array.from({ length: 5 }, (_, part) =>
      failures.map(({ table, ...more }) => ({ table: `${table}.${part}`, ...more })),
    );
    for (const part of many) {
      const job = { jobId: old[0]!, connectorId: connector.connectorId, state: JobState.JS_FAILED };
      await catalog.clients.reconciliation.recordJob({ job, failures: part });
    }
    await run(connector, { state: JobState.JS_FAILED });
    await catalog.stop();
    const { db, close } = await openDatabase(catalog.file);
    const steps: unknown[] = [];
    for await (const step of removeJobs(db, Date.now())) steps.push(step);
    await close();
    await catalog.restart();
    expect(steps).toEqual([
      { failures: 1000, changes: 0, outcomes: 0 },
      { failures: 1000, changes: 0, outcomes: 0 },
      { failures: 500, changes: 0, outcomes: 0, jobs: 11 },
    ]);
  });
});

it('jobs whose retry begins meanwhile are not removed any further', async () => {
  const connector = await create();
  const { connectorId } = connector;
  const retried = await run(connector, { state: JobState.JS_FAILED });
  for (const part of ['a', 'b', 'c']) {
    const failures = Array.from({ length: 500 }, (_, i) => ({ table: `${part}.t${i}`, ...TABLE_FAILED }));
    const job = { jobId: retried, connectorId, state: JobState.JS_FAILED };
    await catalog.clients.reconciliation.recordJob({ job, failures });
  }
  const others = await repeat(2, () => run(connector));
  await run(connector, { state: JobState.JS_FAILED });
  const kept = await repeat(20, () => run(connector));
  await catalog.stop();
  const { db, close } = await openDatabase(catalog.file);
  for await (const { failures } of removeJobs(db, Date.now())) {
    const retry = { jobId: 'retry', connectorId, state: JobState.JS_RUNNING, retryOfJobId: retried };
    if (failures === 1000) await write(scopedTo(db, 'default'), (trx) => putJob(trx, ReconcileJob.fromPartial(retry)));
  }
  await close();
  await catalog.startAgain();
  expect(count('job_failures')).toBe(500);
  const left = await listed(connectorId);
  expect(left).toEqual(expect.arrayContaining(['retry', retried, ...kept]));
  for (const other of others) expect(left).not.toContain(other);
});

describe('changes of dry runs', () => {
  it('are removed 14 days after the job ended, which stays and says so', async () => {
    const connector = await create();
    const { connectorId, displayName } = connector;
    const dry = async (jobId: string) => {
      const job = { jobId, connectorId, connectorName: displayName, dryRun: true };
      await catalog.clients.reconciliation.recordJob({ job: { ...job, state: JobState.JS_RUNNING } });
      const changes = Array.from({ length: 600 }, (_, i) => change(`a.t${i}`));
      await catalog.clients.reconciliation.recordJobChanges({ jobId, changes });
      return () => catalog.clients.reconciliation.recordJob({ job: { ...job, state: JobState.JS_SUCCEEDED } });
    };
    await (await dry('old'))();
    const end = await dry('long');
    machine.pass(14 * DAY);
    await (await dry('new'))();
    await end();
    expect(await removed()).toEqual({ changes: 600 });
    const list = async (jobId: string) =>
      (await catalog.clients.jobs.listJobChanges({ jobId, pageSize: 1000 })).changes.length;
    expect([await list('long'), await list('new')]).toEqual([600, 600]);
    const message = `the changes of dry run old were removed some time after it had ended (RECONCILER_RETENTION_REPORTS); for a new list: reconciler connector trigger ${displayName} --dry-run`;
    expect(await failure(list('old'))).toEqual({ code: 'NOT_FOUND', message });
    expect(await catalog.clients.connectors.getReconcileJob({ jobId: 'old' })).toMatchObject({ dryRun: true });
    // A job that is reset makes another list.
    await catalog.claim(connectorId, 'old', { connectorName: displayName, dryRun: true });
    await catalog.clients.reconciliation.recordJobChanges({ jobId: 'old', changes: [change('a.t')] });
    expect(await list('old')).toBe(1);
  });
});

describe('reports of jobs', () => {
  it('are removed 14 days after the job ended, which stays', async () => {
    const connector = await create();
    const { connectorId, displayName: connectorName } = connector;
    const report = async (jobId: string) => {
      const job = { jobId, connectorId, connectorName };
      await catalog.clients.reconciliation.recordJob({ job: { ...job, state: JobState.JS_RUNNING } });
      const tables = Array.from({ length: 2500 }, (_, i) => ({
        kind: JobChangeKind.JOB_CHANGE_KIND_TABLE,
        name: `a.t${i}`,
      }));
      for (const outcomes of [tables.slice(0, 1000), tables.slice(1000, 2000), tables.slice(2000)]) {
        await catalog.clients.reconciliation.recordJobOutcomes({ jobId, step: 's', outcomes });
      }
      await catalog.clients.reconciliation.recordJob({ job: { ...job, state: JobState.JS_SUCCEEDED } });
    };
    await report('first');
    machine.pass(14 * DAY);
    await report('second');
    expect(await removed()).toEqual({ outcomes: 2500 });
    const list = async (jobId: string) =>
      (await catalog.clients.jobs.listJobOutcomes({ jobId, pageSize: 1000 })).outcomes.length;
    expect(await list('second')).toBe(1000);
    const message = 'the report of job first was removed some time after it had ended (RECONCILER_RETENTION_REPORTS)';
    expect(await failure(list('first'))).toEqual({ code: 'NOT_FOUND', message });
    expect(await catalog.clients.connectors.getReconcileJob({ jobId: 'first' })).toMatchObject({ connectorName });
    expect(await removed()).toEqual({});
  });
});

describe('idempotency keys', () => {
  it('are removed after seven days', async () => {
    const { connectorId } = await create();
    const trigger = () => catalog.clients.connectors.triggerReconcile({ connectorId, idempotencyKey: 'k' });
    const { jobId } = await trigger();
    await catalog.claim(connectorId, jobId);
    await catalog.endJob(connectorId, jobId);
    machine.pass(7 * DAY - MINUTE);
    expect(await removed()).toEqual({});
    expect((await trigger()).jobId).toBe(jobId);
    machine.pass(MINUTE);
    expect(await removed()).toEqual({ idempotency_keys: 1 });
    expect((await trigger()).jobId).not.toBe(jobId);
  });
});

describe('drafts of connectors', () => {
  it('are removed after an hour, if the service was stopped while it validated them', async () => {
    const db = new Sqlite(catalog.file);
    const insert = db.prepare('insert into connector_drafts values (?, ?, ?, ?)');
    for (let n = 0; n < 150; n += 1) insert.run(`draft_${n}`, 'default', '{}', Date.now());
    db.close();
    machine.pass(HOUR - MINUTE);
    expect(await removed()).toEqual({});
    machine.pass(MINUTE);
    expect(await removed()).toEqual({ drafts: 150 });
  });
});

describe('what was staged for a snapshot', () => {
  const file = (n: number) => added({ filePath: `s3://b/${n}.parquet` });

  /** A table with a snapshot, and another one that was begun. */
  async function begun(more: Parameters<typeof TestTable.create>[1] = {}) {
    const table = await TestTable.create(catalog, more);
    await table.put({ snapshotId: 1, changes: [file(1), file(2)] });
    await table.put({ snapshotId: 2, base: 1, changes: [file(3)], group: 'a', finish: false });
    return table;
  }

  it('is removed seven days after its last stream, and can be sent again', async () => {
    const table = await begun();
    machine.pass(6 * DAY);
    await table.send({ snapshotId: 2, changes: [file(4)], group: 'b', finish: false });
    machine.pass(6 * DAY);
    expect(await removed()).toEqual({});
    expect(count('files')).toBe(4);
    machine.pass(DAY);
    expect(await removed()).toEqual({ stages: 1 });
    expect([count('files'), count('memberships'), count('snapshots')]).toEqual([2, 2, 1]);
    expect(query('select tip_ord from chains')).toEqual([{ tip_ord: 1 }]);
    await table.put({ snapshotId: 2, base: 1, changes: [file(3)], expected: { data: 3 } });
    machine.pass(30 * DAY);
    expect(await removed()).toEqual({});
    expect(await table.paths(2)).toEqual([1, 2, 3].map((n) => `s3://b/${n}.parquet`));
  });

  it('stays while its job runs, however long that is paused', async () => {
    const { connectorId } = await create();
    catalog.jobs.statuses.set('slow', 'RUNNING').set('next', 'RUNNING');
    await catalog.claim(connectorId, 'slow', { state: JobState.JS_RUNNING });
    machine.pass(MINUTE);
    await begun({ upstream: { connectorId, namespacePath: ['n'], tableName: 't' } });
    machine.pass(30 * DAY);
    expect(await removed()).toEqual({});
    await catalog.endJob(connectorId, 'slow');
    // A later job would have opened a stream.
    await catalog.claim(connectorId, 'next');
    expect(await removed()).toEqual({ stages: 1 });
  });

  it('is removed by the next service if this one is stopped meanwhile', async () => {
    await begun();
    await catalog.stop();
    const { db, close } = await openDatabase(catalog.file);
    const stopped = AbortSignal.abort();
    for await (const step of removeStages(db, Date.now(), stopped)) expect(step).toBeUndefined();
    await close();
    expect(count('files')).toBe(3);
    machine.pass(8 * DAY);
    expect(await removed()).toEqual({ stages: 1 });
    expect([count('files'), count('snapshots')]).toEqual([2, 1]);
  });

  it('is removed from a snapshot that readers see without its files, which stays', async () => {
    const table = await TestTable.create(catalog);
    const { tableId } = table;
    const snapshot = { tableId, snapshotId: 7n, operation: 'append' };
    await catalog.clients.snapshots.createSnapshot({ snapshot, metadataOnly: true });
    await table.send({ snapshotId: 7, changes: [file(1)], group: 'a', finish: false });
    machine.pass(8 * DAY);
    expect(await removed()).toEqual({ stages: 1 });
    expect(count('files')).toBe(0);
    expect(await catalog.clients.snapshots.getSnapshot({ tableId, snapshotId: 7n })).toMatchObject({ captured: false });
    machine.pass(8 * DAY);
    expect(await removed()).toEqual({});
    await table.send({ snapshotId: 7, changes: [file(1)], expected: { data: 1 } });
    expect(await table.paths(7)).toEqual(['s3://b/1.parquet']);
  });
});

it('nothing is removed without a setting', async () => {
  const kept = await TestCatalog.start();
  try {
    await kept.clients.connectors.createConnector({ connector: connectorSpec(), idempotencyKey: 'k' });
    machine.pass(1000 * DAY);
    await kept.restart();
    await pause(500);
    const db = new Sqlite(kept.file, { readonly: true });
    expect(db.prepare('select count(*) as n from idempotency_keys').all()).toEqual([{ n: 1 }]);
    db.close();
  } finally {
    await kept[Symbol.asyncDispose]();
  }
});
