import type { JobCounters } from '../generated/reconciler/v1/jobs.ts';

/** Most tables that a job ingests at the same time. */
export const MAX_PARALLEL = 64;

export interface ReconcileRequest {
  /** Display name or id. */
  connector: string;
  /** Display name, if `connector` is the id: only for people who read the input. */
  connectorName?: string;
  /** Verify every snapshot and repair what differs. */
  full?: boolean;
  /** Narrows the run. */
  scope?: ReconcileScope;
  /** Overrides the connector's own selection. */
  snapshots?: SnapshotSelection;
  /** Overrides the connector's own mode. */
  mode?: CaptureMode;
  /** Write nothing but the job's record and the list of what the run would do. */
  dryRun?: boolean;
  /** Apply the missing policy regardless of the share of objects that are gone. */
  allowMissing?: boolean;
  /** Only the tables and views that failed in this job. */
  retryOf?: string;
  /** Whose connector it is. Absent: the default tenant's, or that of the worker's token. */
  tenant?: string;
  /** What started it; absent if it was started by hand. */
  trigger?: 'manual' | 'schedule' | 'retry';
}

export type CaptureMode = 'METADATA_AND_CAPTURE' | 'METADATA_ONLY' | 'CAPTURE_ONLY';

/** How many versions of a Delta table are taken if it has more, and no snapshots are selected. */
export const DEFAULT_VERSIONS = 1_000;

export interface SnapshotSelection {
  kind: 'ALL' | 'CURRENT' | 'LATEST_N' | 'EXPLICIT';
  /** For LATEST_N: how many. */
  latest?: number;
  /** For EXPLICIT: decimal, since they have 64 bits. At most 1,000. */
  snapshotIds?: string[];
  /** All branches if empty or absent. */
  branches?: string[];
}

export interface ReconcileScope {
  /** Destination namespaces as text, quoted where needed. */
  namespaces?: string[];
  /** Destination table name. */
  table?: string;
  /** Names, dotted paths or `#id`. */
  columns?: string[];
}

/** Counters by the names of the fields of JobCounters in jobs.proto. A counter is absent until it counts something. */
export type Counters = { [Name in keyof JobCounters]?: number };

/** Adds counts to counters. */
export function addCounts(counters: Counters, counts: Counters): void {
  for (const [name, count] of Object.entries(counts) as [keyof Counters, number | undefined][]) {
    if (count) counters[name] = (counters[name] ?? 0) + count;
  }
}

/** The result of the query `progress`; the job record keeps the same. */
export interface Progress {
  state: 'JS_QUEUED' | 'JS_RUNNING' | 'JS_SUCCEEDED' | 'JS_FAILED' | 'JS_CANCELLED';
  /** For example `scanning`. */
  phase: string;
  counters: Counters;
  /** The job waits because its connector is paused, or because of the signal `pause`. */
  paused?: boolean;
  /** The task queue that the job waits for, and when the first step began to wait: no worker takes its steps. */
  unserved?: { queue: string; sinceMs: number };
  /** Tables being ingested now. */
  inFlight: string[];
}

/** Input of the signal `report`: what running steps that have lasted for some seconds have counted so far, by their names. */
export type ProgressReport = Record<string, Counters>;

/** The query `failures` returns the first 50. */
export interface TableFailure {
  /**
   * Upstream namespace and table, quoted if needed. A view's begins with `view `, a namespace's with `namespace ` or `views of `. Empty
   * if the job itself failed.
   */
  table: string;
  /** gRPC code name. */
  code: string;
  message: string;
  failedAtMs: number;
}

/**
 * Input of the workflow `validateConnector`: a stored connector, or one that the catalog keeps as a draft, by its id. Never a connector itself: whoever
 * reaches Temporal could let a worker send its secrets anywhere.
 */
export interface ValidateRequest {
  connectorId?: string;
  draftId?: string;
  /** The connector's own, if it names one. */
  taskQueue?: string;
  /** As in `ReconcileRequest`. */
  tenant?: string;
}

export interface ValidateResult {
  ok: boolean;
  summary: string;
  sampleTables: string[];
}

/** What a connector's webhook receives. */
export type AlertType = 'job.failed' | 'job.recovered';

/** Input of the workflow `sendAlert`. Its receiver and the key that signs it are looked up when it is sent. */
export interface AlertRequest {
  type: AlertType;
  jobId: string;
  connectorName: string;
  /** For a recovery: the job whose failure was sent. */
  failedJobId?: string;
  /** The connector's own, if it names one. */
  taskQueue?: string;
  /** As in `ReconcileRequest`; a child of the job's workflow learns it from that. */
  tenant?: string;
}

/** Id of the workflow that sends a job's alert. It is unique per job, so that an alert is sent once, whoever starts it. */
export const alertWorkflowId = (jobId: string) => `alert-${jobId}`;

/** The summary that the Temporal UI shows. */
export const alertSummary = ({ type, connectorName }: AlertRequest) => `${type} of ${connectorName}`.slice(0, 130);
