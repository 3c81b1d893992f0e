import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { ConnectorState } from '../../../src/generated/reconciler/v1/connectors.ts';
import { JobFailureKind, JobState, JobTrigger } from '../../../src/generated/reconciler/v1/jobs.ts';
import { scrape, sum } from '../../telemetry/samples.ts';
import { connectorSpec, failure, TestCatalog } from '../harness.ts';

let catalog: TestCatalog;
beforeAll(async () => {
  catalog = await TestCatalog.start({ metricsAddress: '127.0.0.1:0', healthAddress: '127.0.0.1:0' });
});
afterAll(() => catalog[Symbol.asyncDispose]());

const metrics = () => scrape(catalog.aside.metricsAddress as string);
const create = (fields: object = {}) =>
  catalog.clients.connectors.createConnector({ connector: connectorSpec(fields) });
const ago = (seconds: number) => new Date(Date.now() - seconds * 1000);

interface Recorded {
  connectorId: string;
  displayName: string;
}

let jobs = 0;
/** Writes a job's record as a worker does. */
async function record({ connectorId, displayName }: Recorded, job: object, failures: object[] = []) {
  const jobId = `job-${++jobs}`;
  const all = { jobId, connectorId, connectorName: displayName, trigger: JobTrigger.JOB_TRIGGER_SCHEDULE, ...job };
  await catalog.clients.reconciliation.recordJob({ job: all, failures });
  return jobId;
}

describe('metrics of the catalog', () => {
  it('count what jobs record, and only the increase since the record before', async () => {
    const connector = await create();
    const { displayName: name } = connector;
    const jobId = await record(connector, { state: JobState.JS_QUEUED });
    const running = {
      jobId,
      state: JobState.JS_RUNNING,
      startedAt: new Date(),
      counters: { tablesScanned: 100n, bytesRead: 5000n },
    };
    await record(connector, running);
    await record(connector, { ...running, counters: { tablesScanned: 120n, tablesChanged: 7n, filesIngested: 9n } });
    const failures = [
      { table: 'a.b', code: 'DATA_LOSS', message: 'broken', kind: JobFailureKind.JOB_FAILURE_KIND_TABLE },
      { table: 'a.c', code: 'DATA_LOSS', message: 'broken', kind: JobFailureKind.JOB_FAILURE_KIND_TABLE },
    ];
    const last = { ...running, counters: { tablesScanned: 120n, tablesChanged: 7n, filesIngested: 9n, errors: 2n } };
    await record(connector, { ...last, state: JobState.JS_FAILED }, failures);
    // The activity ran twice, since its result was lost.
    await record(connector, { ...last, state: JobState.JS_FAILED }, failures);

    // Counters of a dry run do not count, since it changes nothing.
    const manual = { jobId: 'a-dry-run', dryRun: true, trigger: JobTrigger.JOB_TRIGGER_MANUAL };
    await record(connector, { ...last, ...manual, counters: { filesIngested: 0n, bytesRead: 0n, errors: 0n } });
    const samples = await metrics();
    const tables = (outcome: string) => sum(samples, 'reconciler_tables_total', { connector: name, outcome });
    expect([tables('scanned'), tables('changed'), tables('missing')]).toEqual([120, 7, 0]);
    expect(sum(samples, 'reconciler_file_changes_total', { connector: name })).toBe(9);
    expect(sum(samples, 'reconciler_upstream_read_bytes_total', { connector: name })).toBe(5000);
    expect(sum(samples, 'reconciler_errors_total', { connector: name, kind: 'table', code: 'DATA_LOSS' })).toBe(2);
    const ended = { connector: name, state: 'failed', trigger: 'schedule' };
    expect(sum(samples, 'reconciler_jobs_total', ended)).toBe(1);
    expect(sum(samples, 'reconciler_job_queue_wait_seconds_count', { trigger: 'schedule' })).toBe(1);
  });

  it('show the status of connectors', async () => {
    const policy = { enabled: true, interval: { seconds: 600n } };
    const connector = await create({ policy });
    const { displayName: name } = connector;
    const status = async () => {
      const samples = await metrics();
      const metricOf = (metric: string) =>
        sum(samples, `reconciler_connector_${metric}`, { connector: name }) as number;
      return {
        lag: metricOf('lag_seconds'),
        failed: metricOf('last_run_failed'),
        running: metricOf('running_jobs'),
        metricOf,
      };
    };
    expect((await status()).metricOf('interval_seconds')).toBe(600);
    expect((await status()).lag).toBeLessThan(300);

    const good = { state: JobState.JS_SUCCEEDED, startedAt: ago(7300), finishedAt: ago(7200) };
    await record(connector, good);
    expect((await status()).lag).toBeGreaterThanOrEqual(7200);
    // None of these runs shows that all tables are up to date.
    await record(connector, { ...good, finishedAt: ago(60), dryRun: true });
    await record(connector, { ...good, finishedAt: ago(60), requestJson: '{"connector":"c","scope":{"table":"t"}}' });
    await record(connector, { ...good, finishedAt: ago(60), requestJson: '{"connector":"c","retryOf":"job-1"}' });
    await record(connector, { ...good, finishedAt: ago(60), requestJson: '{"connector":"c","mode":"METADATA_ONLY"}' });
    const current = '{"connector":"c","snapshots":{"kind":"CURRENT"}}';
    await record(connector, { ...good, finishedAt: ago(60), requestJson: current });
    expect(await status()).toMatchObject({ lag: expect.closeTo(7200, -3), failed: 0, running: 0 });
    await record(connector, { state: JobState.JS_FAILED, startedAt: ago(50), finishedAt: ago(40), dryRun: true });
    expect((await status()).failed).toBe(0);

    const older = await record(connector, { state: JobState.JS_FAILED, startedAt: ago(30), finishedAt: ago(20) });
    const failed = await record(connector, { state: JobState.JS_FAILED, createdAt: ago(-0.5), finishedAt: ago(15) });
    expect(await status()).toMatchObject({ lag: expect.closeTo(7200, -3), failed: 1 });
    // A run of one table or a dry run does not affect the status.
    const oneTable = '{"connector":"c","scope":{"table":"t"}}';
    await record(connector, { createdAt: ago(-1), ...good, finishedAt: ago(10), requestJson: oneTable });
    await record(connector, { createdAt: ago(-2), ...good, finishedAt: ago(10), dryRun: true });
    expect(await status()).toMatchObject({ failed: 1 });
    const retry = (createdAt: Date, retryOf: string, job: object) =>
      record(connector, { finishedAt: ago(9), ...job, createdAt, requestJson: JSON.stringify({ retryOf }) });
    // A retry of an older job repairs nothing of what failed in the last one.
    await retry(ago(-3), older, good);
    expect(await status()).toMatchObject({ failed: 1 });
    const partly = await retry(ago(-3.1), failed, { state: JobState.JS_FAILED });
    expect(await status()).toMatchObject({ failed: 1 });
    await retry(ago(-3.2), partly, good);
    expect(await status()).toMatchObject({ failed: 0 });
    await record(connector, {
      createdAt: ago(-4),
      state: JobState.JS_FAILED,
      finishedAt: ago(8),
      requestJson: oneTable,
    });
    await record(connector, { createdAt: ago(-5), state: JobState.JS_FAILED, finishedAt: ago(8), dryRun: true });
    expect(await status()).toMatchObject({ failed: 0 });

    await record(connector, { state: JobState.JS_QUEUED, createdAt: ago(500) });
    expect((await status()).metricOf('unattended_seconds')).toBeGreaterThanOrEqual(500);
    const { connectorId } = connector;
    const setState = (state: ConnectorState) =>
      catalog.clients.connectors.updateConnector({ connector: { connectorId, state }, updateMask: ['state'] });
    await setState(ConnectorState.CONNECTOR_STATE_PAUSED);
    expect((await status()).metricOf('unattended_seconds')).toBe(0);
    await setState(ConnectorState.CONNECTOR_STATE_ACTIVE);
    await record(connector, { state: JobState.JS_RUNNING, startedAt: ago(10) });
    const now = await status();
    expect([now.metricOf('unattended_seconds'), now.metricOf('queued_jobs'), now.running]).toEqual([0, 1, 1]);
  });

  it('show when three runs of a calendar are overdue', async () => {
    const policy = { enabled: true, cron: ['0 6 * * 1-5'], timeZone: 'Europe/Vienna' };
    const connector = await create({ policy });
    // Friday, a minute after the run of 6:00 in Vienna.
    const finishedAt = new Date('2026-10-23T04:01:00Z');
    await record(connector, { state: JobState.JS_SUCCEEDED, createdAt: finishedAt, finishedAt });
    // Wednesday at 6:00: on Sunday, clocks went back by an hour.
    const third = Date.parse('2026-10-28T05:00:00Z');
    const interval = async () =>
      sum(await metrics(), 'reconciler_connector_interval_seconds', { connector: connector.displayName });
    expect(await interval()).toBeCloseTo((third - finishedAt.getTime()) / 3000, 3);
    const update = { connector: { connectorId: connector.connectorId, policy: { ...policy, enabled: false } } };
    await catalog.clients.connectors.updateConnector({ ...update, updateMask: ['policy'] });
    expect(await interval()).toBeUndefined();
  });

  it('omit deleted connectors', async () => {
    const { connectorId, displayName: connector } = await create();
    expect(sum(await metrics(), 'reconciler_connector_lag_seconds', { connector })).toBeDefined();
    await catalog.clients.connectors.deleteConnector({ connectorId });
    expect(sum(await metrics(), 'reconciler_connector_lag_seconds', { connector })).toBeUndefined();
  });

  it('do not use unknown names of connectors as labels', async () => {
    await record({ connectorId: '', displayName: 'typed by hand' }, { state: JobState.JS_FAILED });
    const samples = await metrics();
    expect(samples.filter(({ labels }) => labels.connector === 'typed by hand')).toEqual([]);
    expect(sum(samples, 'reconciler_jobs_total', { connector: '', state: 'failed' })).toBe(1);
  });

  it('time calls by method and code', async () => {
    await failure(catalog.clients.tables.getTable({ tableId: 'tbl_none' }));
    const samples = await metrics();
    const labels = { method: 'Tables/GetTable', code: 'NOT_FOUND' };
    expect(sum(samples, 'reconciler_grpc_request_seconds_count', labels)).toBe(1);
    expect(sum(samples, 'reconciler_grpc_request_seconds_bucket', { ...labels, le: '+Inf' })).toBe(1);
    expect(sum(samples, 'process_resident_memory_bytes')).toBeGreaterThan(1e7);
  });

  it('are served beside health checks, which end with the service', async () => {
    const { healthAddress } = catalog.aside;
    const ready = await fetch(`http://${healthAddress}/readyz`);
    expect([ready.status, await ready.json()]).toEqual([200, { serving: 'ok', database: 'ok' }]);
    await catalog.stopService();
    await expect(fetch(`http://${healthAddress}/healthz`)).rejects.toThrow();
  });
});
