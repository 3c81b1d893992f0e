import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import { isEnded } from '../../contract/progress-message.ts';
import {
  type JobCounters,
  type JobFailure,
  jobFailureKindToJSON,
  jobStateToJSON,
  jobTriggerToJSON,
  type ReconcileJob,
} from '../../generated/reconciler/v1/jobs.ts';
import { type ConnectorLag, connectorLags } from '../store/connectors/connector-lag.ts';
import type { Database } from '../store/database/database.ts';

/** What the catalog service counts. Names and labels: docs/operations/metrics.md. */
export interface CatalogMetrics {
  /** A call has ended. `method` as in `Connectors/TriggerReconcile`. */
  called(method: string, code: string, seconds: number): void;
  /** A job's record has changed from one to the other; with it came these failures. */
  recorded(before: ReconcileJob | undefined, after: ReconcileJob, failures: readonly JobFailure[]): void;
  /** In Prometheus' text format. */
  text(): Promise<{ contentType: string; body: string }>;
}

const CALL_BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10];
/** From a worker that takes it at once to a connector that is busy for hours. */
const WAIT_BUCKETS = [0.1, 0.5, 1, 5, 15, 60, 300, 900, 3600, 14_400];
const DURATION_BUCKETS = [1, 5, 15, 60, 300, 900, 3600, 14_400, 86_400];

/** By the metric's name: the label `outcome` and the counter of a job that it is the sum of. */
const OUTCOMES = {
  reconciler_tables_total: {
    help: 'Tables that jobs looked at, by what became of them',
    of: {
      scanned: 'tablesScanned',
      changed: 'tablesChanged',
      unchanged: 'tablesUnchanged',
      filtered: 'tablesFiltered',
      missing: 'tablesMissing',
      dropped: 'tablesDropped',
    },
  },
  reconciler_views_total: {
    help: 'Views that jobs looked at, by what became of them',
    of: { scanned: 'viewsScanned', changed: 'viewsChanged', missing: 'viewsMissing', dropped: 'viewsDropped' },
  },
  reconciler_snapshots_total: {
    help: 'Snapshots that came in, or were dropped since they expired',
    of: { ingested: 'snapshotsIngested', dropped: 'snapshotsDropped' },
  },
} as const;

const SUMS = {
  reconciler_file_changes_total: { help: 'Files added to snapshots, or removed', of: 'filesIngested' },
  reconciler_upstream_read_bytes_total: { help: 'Bytes read from upstreams', of: 'bytesRead' },
  reconciler_upstream_requests_total: { help: 'Requests made to upstreams, every attempt', of: 'upstreamRequests' },
} as const;

export function createCatalogMetrics({ db }: Pick<Database, 'db'>): CatalogMetrics {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry });

  const calls = new Histogram({
    name: 'reconciler_grpc_request_seconds',
    help: 'Time of calls to the catalog service; of streams, until they ended',
    labelNames: ['method', 'code'],
    buckets: CALL_BUCKETS,
    registers,
  });
  const ended = new Counter({
    name: 'reconciler_jobs_total',
    help: 'Jobs that ended',
    labelNames: ['connector', 'state', 'trigger'],
    registers,
  });
  const waits = new Histogram({
    name: 'reconciler_job_queue_wait_seconds',
    help: 'From when a job was made to when it began: it waits for a worker, and for its connector',
    labelNames: ['trigger'],
    buckets: WAIT_BUCKETS,
    registers,
  });
  const durations = new Histogram({
    name: 'reconciler_job_duration_seconds',
    help: 'From when a job began to when it ended',
    labelNames: ['state'],
    buckets: DURATION_BUCKETS,
    registers,
  });
  const errors = new Counter({
    name: 'reconciler_errors_total',
    help: 'What failed in jobs, after its retries',
    labelNames: ['connector', 'kind', 'code'],
    registers,
  });
  const outcomes = Object.entries(OUTCOMES).map(([name, { help, of }]) => ({
    counter: new Counter({ name, help, labelNames: ['connector', 'outcome'], registers }),
    of: Object.entries(of),
  }));
  const sums = Object.entries(SUMS).map(([name, { help, of }]) => ({
    counter: new Counter({ name, help, labelNames: ['connector'], registers }),
    of,
  }));
  const standings = standingGauges(registry);

  return {
    called: (method, code, seconds) => calls.observe({ method, code }, seconds),

    recorded(before, after, failures) {
      // One that was never resolved has whatever somebody typed for a name.
      const connector = after.connectorId === '' ? '' : after.connectorName;
      const trigger = short(jobTriggerToJSON(after.trigger), 'JOB_TRIGGER_');
      const more = (field: CounterField) =>
        Math.max(0, Number(after.counters?.[field] ?? 0) - Number(before?.counters?.[field] ?? 0));
      // What a dry run counts has not happened.
      for (const { counter, of } of after.dryRun ? [] : outcomes) {
        for (const [outcome, field] of of) counter.inc({ connector, outcome }, more(field));
      }
      for (const { counter, of } of sums) counter.inc({ connector }, more(of));
      // A record that is written again brings the same failures again.
      if (more('errors') > 0) {
        for (const { kind, code } of failures) {
          errors.inc({ connector, kind: short(jobFailureKindToJSON(kind), 'JOB_FAILURE_KIND_'), code });
        }
      }
      if (!before?.startedAt && after.startedAt && after.createdAt) {
        waits.observe({ trigger }, seconds(after.createdAt, after.startedAt));
      }
      if (!isEnded(after.state)) {
        // Where a counter begins with 1, Prometheus sees no increase.
        for (const state of ['succeeded', 'failed']) ended.inc({ connector, state, trigger }, 0);
        return;
      }
      if (before && isEnded(before.state)) return;
      const state = short(jobStateToJSON(after.state), 'JS_');
      ended.inc({ connector, state, trigger });
      if (after.startedAt && after.finishedAt) durations.observe({ state }, seconds(after.startedAt, after.finishedAt));
    },

    async text() {
      standings(await connectorLags(db), Date.now());
      return { contentType: registry.contentType, body: await registry.metrics() };
    },
  };
}

type CounterField = keyof JobCounters;

/** Gauges of how connectors stand, set when they are asked for. */
function standingGauges(registry: Registry): (standings: ConnectorLag[], now: number) => void {
  const gauge = (name: string, help: string) =>
    new Gauge({ name, help, labelNames: ['connector'], registers: [registry] });
  const lag = gauge(
    'reconciler_connector_lag_seconds',
    'Since the last run of the whole connector ended well, or since it was made where none did',
  );
  const interval = gauge('reconciler_connector_interval_seconds', 'Between its scheduled runs, where they are enabled');
  const failed = gauge('reconciler_connector_last_run_failed', '1 where its last run failed, wholly or in part');
  const running = gauge('reconciler_connector_running_jobs', 'Jobs that have begun and not ended');
  const queued = gauge('reconciler_connector_queued_jobs', 'Jobs that wait');
  const waiting = gauge(
    'reconciler_connector_unattended_seconds',
    'Since its oldest waiting job was made, where none of its jobs runs: nobody takes it up',
  );
  const all = [lag, interval, failed, running, queued, waiting];
  return (standings, now) => {
    // Of connectors that are gone nothing stays.
    for (const one of all) one.reset();
    for (const { name: connector, ...is } of standings) {
      lag.set({ connector }, Math.max(0, now - is.goodSince) / 1000);
      if (is.intervalSeconds > 0) interval.set({ connector }, is.intervalSeconds);
      failed.set({ connector }, is.lastFailed ? 1 : 0);
      running.set({ connector }, is.running);
      queued.set({ connector }, is.queued);
      const since = is.running > 0 ? now : (is.oldestQueuedAt ?? now);
      waiting.set({ connector }, Math.max(0, now - since) / 1000);
    }
  };
}

const seconds = (from: Date, to: Date) => Math.max(0, to.getTime() - from.getTime()) / 1000;
const short = (name: string, prefix: string) => name.replace(prefix, '').toLowerCase();
