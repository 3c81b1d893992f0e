import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { countersOf } from '../../src/contract/progress-message.ts';
import { JobState, type ReconcileJob } from '../../src/generated/reconciler/v1/jobs.ts';
import { waitFor } from '../jest/wait-for.ts';
import { scrape, sum } from '../telemetry/samples.ts';
import { ROOT, RunningStack } from './stack/running-stack.ts';

/** Time limit for a busy machine. */
const EVENTUALLY = { timeout: 60_000, interval: 200 };

describe('a running stack', () => {
  let stack: RunningStack;
  let job: ReconcileJob;

  beforeAll(async () => {
    stack = await RunningStack.start();
    // Two of the warehouse's tables are broken.
    job = await stack.trigger(await stack.connect('fx', `${ROOT}test/fixtures/iceberg`));
    expect(job).toMatchObject({ state: JobState.JS_FAILED, counters: { errors: 2n } });
  });
  afterAll(() => stack?.[Symbol.asyncDispose]());

  it('exposes metrics of the catalog and the worker', async () => {
    const { catalog, worker } = stack.observed();
    const counted = await scrape(catalog.metrics);
    const tables = (outcome: string) => sum(counted, 'reconciler_tables_total', { connector: 'fx', outcome });
    expect(tables('scanned')).toBe(Number(countersOf(job).tablesScanned));
    expect(tables('changed')).toBe(Number(countersOf(job).tablesChanged));
    expect(sum(counted, 'reconciler_errors_total', { connector: 'fx', code: 'DATA_LOSS' })).toBe(2);
    expect(sum(counted, 'reconciler_upstream_read_bytes_total', { connector: 'fx' })).toBe(
      Number(countersOf(job).bytesRead),
    );
    expect(sum(counted, 'reconciler_grpc_request_seconds_count', { method: 'Reconciliation/RecordJob' })).toBeDefined();

    const done = await scrape(worker.metrics);
    const failed = { activity: 'ingestTable', code: 'DATA_LOSS' };
    // The table without a manifest is ingested in part.
    expect(sum(done, 'reconciler_worker_activity_failures_total', failed)).toBe(1);
    expect(sum(done, 'reconciler_worker_resident_memory_bytes')).toBeGreaterThan(5e7);
    expect(sum(done, 'temporal_num_pollers', { task_queue: 'reconciler', poller_type: 'workflow_task' })).toBeDefined();
    const slots = { task_queue: 'reconciler-ingest', worker_type: 'ActivityWorker' };
    expect(sum(done, 'temporal_worker_task_slots_available', slots)).toBeGreaterThan(0);
    expect(sum(done, 'temporal_activity_schedule_to_start_latency_seconds_count')).toBeGreaterThan(0);
  });

  it('writes JSON logs that name the job, the connector and the table', async () => {
    const about = { job: job.jobId, connector: 'fx' };
    const failed = stack
      .logLines('worker')
      .filter(({ msg, activity }) => activity === 'ingestTable' && msg === 'activity failed');
    expect(failed.map(({ table }) => table)).toEqual(['wh.bad.truncated_metadata']);
    const inPart = stack.logLines('worker').filter(({ msg }) => msg === 'snapshots cannot be read');
    expect(inPart.map(({ table }) => table)).toEqual(['wh.bad.missing_manifest']);
    for (const line of [...failed, ...inPart]) expect(line).toMatchObject({ ...about, attempt: 1, code: 'DATA_LOSS' });

    const aboutJob = stack.logLines('catalog').filter((line) => line.job === job.jobId);
    expect(aboutJob.find(({ msg }) => msg === 'the job has started')).toMatchObject(about);
    expect(aboutJob.filter(({ code }) => code === 'DATA_LOSS')).toHaveLength(2);
    expect(aboutJob.at(-1)).toMatchObject({ ...about, msg: 'the job has ended', state: 'JS_FAILED', errors: 2 });
  });

  it('reports its worker as alive but not ready while Temporal does not respond', async () => {
    const { catalog, worker } = stack.observed();
    const probe = async (address: string, path: string) => {
      const response = await fetch(`http://${address}${path}`);
      return [response.status, await response.text()] as const;
    };
    expect(await probe(worker.health, '/readyz')).toEqual([200, '{"polling":"ok","temporal":"ok","catalog":"ok"}\n']);
    const { temporal } = stack.pids();
    process.kill(temporal as number, 'SIGSTOP');
    try {
      // It may still answer for a moment.
      await waitFor(async () => expect((await probe(worker.health, '/readyz'))[0]).toBe(503), EVENTUALLY);
      const [status, text] = await probe(worker.health, '/readyz');
      expect([status, JSON.parse(text)]).toMatchObject([503, { polling: 'ok', catalog: 'ok' }]);
      expect(JSON.parse(text).temporal).not.toBe('ok');
      expect(await probe(worker.health, '/healthz')).toEqual([200, 'ok\n']);
      expect((await probe(catalog.health, '/readyz'))[0]).toBe(200);
    } finally {
      process.kill(temporal as number, 'SIGCONT');
    }
    await waitFor(async () => expect((await probe(worker.health, '/readyz'))[0]).toBe(200), EVENTUALLY);
  });
});
