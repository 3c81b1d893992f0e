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
  it('count what jobs record, each time what is new', async () => {
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
    // The activity was run twice: its answer was lost.
    await record(connector, { ...last, state: JobState.JS_FAILED }, failures);

    // What a dry run counts has not happened.
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

  it('tell how connectors stand', async () => {
    const policy = { enabled: true, interval: { seconds: 600n } };
    const connector = await create({ policy });
    const { displayName: name } = connector;
    const standing = async () => {
      const samples = await metrics();
      const of = (metric: string) => sum(samples, `reconciler_connector_${metric}`, { connector: name }) as number;
      return { lag: of('lag_seconds'), failed: of('last_run_failed'), running: of('running_jobs'), of };
    };
    expect((await standing()).of('interval_seconds')).toBe(600);
    expect((await standing()).lag).toBeLessThan(300);

    const good = { state: JobState.JS_SUCCEEDED, startedAt: ago(7300), finishedAt: ago(7200) };
    await record(connector, good);
    expect((await standing()).lag).toBeGreaterThanOrEqual(7200);
    // Neither tells that all is fresh.
    await record(connector, { ...good, finishedAt: ago(60), dryRun: true });
    await record(connector, { ...good, finishedAt: ago(60), requestJson: '{"connector":"c","scope":{"table":"t"}}' });
    await record(connector, { ...good, finishedAt: ago(60), requestJson: '{"connector":"c","retryOf":"job-1"}' });
    expect(await standing()).toMatchObject({ lag: expect.closeTo(7200, -3), failed: 0, running: 0 });
    await record(connector, { state: JobState.JS_FAILED, startedAt: ago(50), finishedAt: ago(40), dryRun: true });
    expect((await standing()).failed).toBe(0);

    await record(connector, { state: JobState.JS_FAILED, startedAt: ago(30), finishedAt: ago(20) });
    expect(await standing()).toMatchObject({ lag: expect.closeTo(7200, -3), failed: 1 });
    // What somebody tries with one table makes nothing good, and breaks nothing.
    const tried = '{"connector":"c","scope":{"table":"t"}}';
    await record(connector, { createdAt: ago(-1), ...good, finishedAt: ago(10), requestJson: tried });
    await record(connector, { createdAt: ago(-2), ...good, finishedAt: ago(10), dryRun: true });
    expect(await standing()).toMatchObject({ failed: 1 });
    await record(connector, {
      createdAt: ago(-3),
      ...good,
      finishedAt: ago(9),
      requestJson: '{"connector":"c","retryOf":"job-2"}',
    });
    expect(await standing()).toMatchObject({ failed: 0 });
    await record(connector, { createdAt: ago(-4), state: JobState.JS_FAILED, finishedAt: ago(8), requestJson: tried });
    await record(connector, { createdAt: ago(-5), state: JobState.JS_FAILED, finishedAt: ago(8), dryRun: true });
    expect(await standing()).toMatchObject({ failed: 0 });

    await record(connector, { state: JobState.JS_QUEUED, createdAt: ago(500) });
    expect((await standing()).of('unattended_seconds')).toBeGreaterThanOrEqual(500);
    const { connectorId } = connector;
    const setState = (state: ConnectorState) =>
      catalog.clients.connectors.updateConnector({ connector: { connectorId, state }, updateMask: ['state'] });
    await setState(ConnectorState.CONNECTOR_STATE_PAUSED);
    expect((await standing()).of('unattended_seconds')).toBe(0);
    await setState(ConnectorState.CONNECTOR_STATE_ACTIVE);
    await record(connector, { state: JobState.JS_RUNNING, startedAt: ago(10) });
    const now = await standing();
    expect([now.of('unattended_seconds'), now.of('queued_jobs'), now.running]).toEqual([0, 1, 1]);
  });

  it('forget connectors that are gone', async () => {
    const { connectorId, displayName: connector } = await create();
    expect(sum(await metrics(), 'reconciler_connector_lag_seconds', { connector })).toBeDefined();
    await catalog.clients.connectors.deleteConnector({ connectorId });
    expect(sum(await metrics(), 'reconciler_connector_lag_seconds', { connector })).toBeUndefined();
  });

  it('name no connector that is none', async () => {
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

  it('come with health, which ends with the service', async () => {
    const { healthAddress } = catalog.aside;
    const ready = await fetch(`http://${healthAddress}/readyz`);
    expect([ready.status, await ready.json()]).toEqual([200, { serving: 'ok', database: 'ok' }]);
    await catalog.stopService();
    await expect(fetch(`http://${healthAddress}/healthz`)).rejects.toThrow();
  });
});
