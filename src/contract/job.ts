/** Of a request as JSON, in characters: it stands in inputs of a job's activities, and so in its history again and again. */
export const MAX_REQUEST_LENGTH = 64 * 1024;

export interface ReconcileRequest {
  /** Display name or id. */
  connector: string;
  /** Verify every snapshot and repair what differs. */
  full?: boolean;
  /** Narrows the run. */
  scope?: ReconcileScope;
  /** Instead of the connector's own selection. */
  snapshots?: SnapshotSelection;
  /** Instead of the connector's own mode. */
  mode?: CaptureMode;
  /** Writes nothing but the job's record and the list of what it would do. */
  dryRun?: boolean;
  /** What is gone upstream is treated so, however large its share. */
  allowMissing?: boolean;
  /** Only the tables and views that failed in this job. */
  retryOf?: string;
  /** What started it, where it was not by hand. */
  trigger?: 'manual' | 'schedule' | 'retry';
}

export type CaptureMode = 'METADATA_AND_CAPTURE' | 'METADATA_ONLY' | 'CAPTURE_ONLY';

export interface SnapshotSelection {
  kind: 'ALL' | 'CURRENT' | 'LATEST_N' | 'EXPLICIT';
  /** Of LATEST_N. */
  latest?: number;
  /** Of EXPLICIT: decimal, since they are 64-bit. At most 1,000. */
  snapshotIds?: string[];
  /** Empty or absent: all. */
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

/** Answer of the query `progress`; also what the job record keeps. */
export interface Progress {
  state: 'JS_QUEUED' | 'JS_RUNNING' | 'JS_SUCCEEDED' | 'JS_FAILED' | 'JS_CANCELLED';
  /** For example `scanning`. */
  phase: string;
  tablesScanned: number;
  tablesChanged: number;
  tablesUnchanged: number;
  tablesFiltered: number;
  tablesMissing: number;
  errors: number;
  snapshotsIngested: number;
  filesIngested: number;
  bytesRead: number;
  /** To catalog and storage, every attempt. Absent in older histories. */
  upstreamRequests?: number;
  /** Of views; absent where the upstream has none that the run takes. */
  viewsScanned?: number;
  viewsChanged?: number;
  viewsMissing?: number;
  /** Dropped since they had been missing, or expired, for long enough. Absent where the policy drops nothing. */
  tablesDropped?: number;
  viewsDropped?: number;
  snapshotsDropped?: number;
  /** As many as the connector has: what the run will probably look at. Absent where that is not known. */
  tablesExpected?: number;
  /** It rests, since the connector is paused. */
  paused?: boolean;
  /** Tables being ingested now. */
  inFlight: string[];
}

/** Of a job that has not begun. */
export function newProgress(): Progress {
  return {
    state: 'JS_QUEUED',
    phase: 'resolving the connector',
    tablesScanned: 0,
    tablesChanged: 0,
    tablesUnchanged: 0,
    tablesFiltered: 0,
    tablesMissing: 0,
    errors: 0,
    snapshotsIngested: 0,
    filesIngested: 0,
    bytesRead: 0,
    inFlight: [],
  };
}

/** Answer of the query `failures`: the first 50. */
export interface TableFailure {
  /**
   * Upstream namespace and table, quoted where needed; of a view, with `view ` before it. Empty for a failure that is neither's.
   */
  table: string;
  /** gRPC code name. */
  code: string;
  message: string;
  failedAtMs: number;
}

/** Input of the workflow `validateConnector`: a stored connector by id, or one as proto3 JSON (it holds no secrets). */
export interface ValidateRequest {
  connectorId?: string;
  connectorJson?: string;
  /** The connector's, if it names one. */
  taskQueue?: string;
}

export interface ValidateResult {
  ok: boolean;
  summary: string;
  sampleTables: string[];
}

/** What a connector's webhook is told. */
export type AlertType = 'job.failed' | 'job.recovered';

/** Input of the workflow `sendAlert`. Where it goes, and by which key it is signed, is looked up when it is sent. */
export interface AlertRequest {
  type: AlertType;
  jobId: string;
  connectorName: string;
  /** Of a recovery: the job whose failure was told. */
  failedJobId?: string;
  /** The connector's, if it names one. */
  taskQueue?: string;
}

/** Id of the workflow that sends a job's alert: it is sent once, whoever starts it. */
export const alertWorkflowId = (jobId: string) => `alert-${jobId}`;

/** For people. */
export const alertSummary = ({ type, connectorName }: AlertRequest) => `${type} of ${connectorName}`.slice(0, 130);
