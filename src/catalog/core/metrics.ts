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
import { REMOVED_KINDS, type Removed } from '../store/cleanup/removed.ts';
import { type ConnectorLag, connectorLagsOfAllTenants } from '../store/connectors/connector-lag.ts';
import type { Database } from '../store/database/database.ts';

/** The metrics of the catalog service. docs/operations/metrics.md lists names and labels. */
export interface CatalogMetrics {
  /** Counts a call that has ended. `method` has the form `Connectors/TriggerReconcile`. */
  called(method: string, code: string, seconds: number): void;
  /** Counts the change of a job's record from `before` to `after`, and the failures that were recorded with it. */
  recorded(
    tenant: string,
    before: ReconcileJob | undefined,
    after: ReconcileJob,
    failures: readonly JobFailure[],
  ): void;
  /** Counts old records that were removed, by kind. */
  removed(counts: Removed): void;
  /** All metrics in Prometheus' text format. */
  text(): Promise<{ contentType: string; body: string }>;
}

const CALL_BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10];
/** From a job that starts immediately to one whose connector is busy for hours. */
const WAIT_BUCKETS = [0.1, 0.5, 1, 5, 15, 60, 300, 900, 3600, 14_400];
const DURATION_BUCKETS = [1, 5, 15, 60, 300, 900, 3600, 14_400, 86_400];

/** Metrics with a label `outcome`: the counter of a job for each outcome. */
const OUTCOMES = {
  reconciler_tables_total: {
    help: 'Tables that jobs processed, by outcome',
    counters: {
      scanned: 'tablesScanned',
      changed: 'tablesChanged',
      unchanged: 'tablesUnchanged',
      filtered: 'tablesFiltered',
      missing: 'tablesMissing',
      dropped: 'tablesDropped',
    },
  },
  reconciler_views_total: {
    help: 'Views that jobs processed, by outcome',
    counters: { scanned: 'viewsScanned', changed: 'viewsChanged', missing: 'viewsMissing', dropped: 'viewsDropped' },
  },
  reconciler_snapshots_total: {
    help: 'Snapshots that were ingested, or dropped after they expired',
    counters: { ingested: 'snapshotsIngested', dropped: 'snapshotsDropped' },
  },
} as const;

/** Metrics without outcomes: the counter of a job. */
const SUMS = {
  reconciler_file_changes_total: { help: 'Files added to or removed from snapshots', counter: 'filesIngested' },
  reconciler_upstream_read_bytes_total: { help: 'Bytes read from upstreams', counter: 'bytesRead' },
  reconciler_upstream_requests_total: { help: 'Requests to upstreams, including retries', counter: 'upstreamRequests' },
} as const;

export function createCatalogMetrics({ db }: Pick<Database, 'db'>): CatalogMetrics {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry });

  const calls = new Histogram({
    name: 'reconciler_grpc_request_seconds',
    help: 'Duration of calls to the catalog service; for streams, until they end',
    labelNames: ['method', 'code'],
    buckets: CALL_BUCKETS,
    registers,
  });
  const ended = new Counter({
    name: 'reconciler_jobs_total',
    help: 'Jobs that ended',
    labelNames: ['tenant', 'connector', 'state', 'trigger'],
    registers,
  });
  const waits = new Histogram({
    name: 'reconciler_job_queue_wait_seconds',
    help: 'Time from the creation of a job to its start: the wait for a worker and for the connector',
    labelNames: ['trigger'],
    buckets: WAIT_BUCKETS,
    registers,
  });
  const durations = new Histogram({
    name: 'reconciler_job_duration_seconds',
    help: 'Time from the start of a job to its end',
    labelNames: ['state'],
    buckets: DURATION_BUCKETS,
    registers,
  });
  const errors = new Counter({
    name: 'reconciler_errors_total',
    help: 'Failures in jobs after retries',
    labelNames: ['tenant', 'connector', 'kind', 'code'],
    registers,
  });
  const outcomes = Object.entries(OUTCOMES).map(([name, { help, counters }]) => ({
    metric: new Counter({ name, help, labelNames: ['tenant', 'connector', 'outcome'], registers }),
    counters: Object.entries(counters),
  }));
  const sums = Object.entries(SUMS).map(([name, { help, counter }]) => ({
    metric: new Counter({ name, help, labelNames: ['tenant', 'connector'], registers }),
    counter,
  }));
  const removals = new Counter({
    name: 'reconciler_retention_removed_total',
    help: 'Old records that were removed, by kind',
    labelNames: ['kind'],
    registers,
  });
  // A counter that appears with its first increase has no rate in Prometheus.
  for (const kind of REMOVED_KINDS) removals.inc({ kind }, 0);
  const setLags = lagGauges(registry);

  return {
    called: (method, code, seconds) => calls.observe({ method, code }, seconds),

    recorded(tenant, before, after, failures) {
      // If the connector was not resolved, its name is arbitrary input and no label.
      const connector = after.connectorId === '' ? '' : after.connectorName;
      const trigger = short(jobTriggerToJSON(after.trigger), 'JOB_TRIGGER_');
      const increase = (field: CounterField) =>
        Math.max(0, Number(after.counters?.[field] ?? 0) - Number(before?.counters?.[field] ?? 0));
      // A dry run did not do what it counts.
      for (const { metric, counters } of after.dryRun ? [] : outcomes) {
        for (const [outcome, field] of counters) metric.inc({ tenant, connector, outcome }, increase(field));
      }
      for (const { metric, counter } of sums) metric.inc({ tenant, connector }, increase(counter));
      // A repeated record has the same failures, which must not be counted twice.
      if (increase('errors') > 0) {
        for (const { kind, code } of failures) {
          errors.inc({ tenant, connector, kind: short(jobFailureKindToJSON(kind), 'JOB_FAILURE_KIND_'), code });
        }
      }
      if (!before?.startedAt && after.startedAt && after.createdAt) {
        waits.observe({ trigger }, seconds(after.createdAt, after.startedAt));
      }
      if (!isEnded(after.state)) {
        // The counters start with 0, because Prometheus sees no increase if the first value is 1.
        for (const state of ['succeeded', 'failed']) ended.inc({ tenant, connector, state, trigger }, 0);
        return;
      }
      if (before && isEnded(before.state)) return;
      const state = short(jobStateToJSON(after.state), 'JS_');
      ended.inc({ tenant, connector, state, trigger });
      if (after.startedAt && after.finishedAt) durations.observe({ state }, seconds(after.startedAt, after.finishedAt));
    },

    removed(counts) {
      for (const [kind, count] of Object.entries(counts)) removals.inc({ kind }, count);
    },

    async text() {
      setLags(await connectorLagsOfAllTenants(db), Date.now());
      return { contentType: registry.contentType, body: await registry.metrics() };
    },
  };
}

type CounterField = keyof JobCounters;

/** Creates gauges of the status of connectors. @returns a function that sets them */
function lagGauges(registry: Registry): (lags: ConnectorLag[], now: number) => void {
  const gauge = (name: string, help: string) =>
    new Gauge({ name, help, labelNames: ['tenant', 'connector'], registers: [registry] });
  const lag = gauge(
    'reconciler_connector_lag_seconds',
    'Time since the last successful job of the whole connector ended, or since the connector was created if there was none',
  );
  const interval = gauge(
    'reconciler_connector_interval_seconds',
    'Time between the scheduled jobs of the connector, if they are enabled',
  );
  const failed = gauge(
    'reconciler_connector_last_run_failed',
    '1 if the last job of the connector failed completely or partly',
  );
  const running = gauge('reconciler_connector_running_jobs', 'Jobs that have started and not ended');
  const queued = gauge('reconciler_connector_queued_jobs', 'Jobs that are waiting');
  const waiting = gauge(
    'reconciler_connector_unattended_seconds',
    'Time since the oldest waiting job of the connector was created, if none of its jobs is running',
  );
  const all = [lag, interval, failed, running, queued, waiting];
  return (lags, now) => {
    // Removes the values of connectors that no longer exist.
    for (const metric of all) metric.reset();
    for (const { tenant, name: connector, ...status } of lags) {
      lag.set({ tenant, connector }, Math.max(0, now - status.goodSince) / 1000);
      if (status.intervalSeconds > 0) interval.set({ tenant, connector }, status.intervalSeconds);
      failed.set({ tenant, connector }, status.lastFailed ? 1 : 0);
      running.set({ tenant, connector }, status.running);
      queued.set({ tenant, connector }, status.queued);
      const since = status.running > 0 ? now : (status.oldestQueuedAt ?? now);
      waiting.set({ tenant, connector }, Math.max(0, now - since) / 1000);
    }
  };
}

const seconds = (from: Date, to: Date) => Math.max(0, to.getTime() - from.getTime()) / 1000;
const short = (name: string, prefix: string) => name.replace(prefix, '').toLowerCase();
