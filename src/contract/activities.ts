import type {
  AlertRequest,
  CaptureMode,
  Progress,
  ReconcileRequest,
  ReconcileScope,
  SnapshotSelection,
  TableFailure,
  ValidateRequest,
  ValidateResult,
} from './job.ts';
import type { NameChecksum } from './name-checksum.ts';
import type { NamespacePath, TableRef } from './upstream-names.ts';

/** Heartbeat details of an ingest: what it has done so far, and where a next attempt goes on. */
export interface IngestHeartbeat {
  snapshots: number;
  files: number;
  bytesRead: number;
  /** The snapshot being brought in (decimal), and the reader's position in it. */
  snapshotId?: string;
  position?: number;
  /** Of the files, those before that position: the others are read again, unless they are all in. */
  filesBefore?: number;
  /** Of a pack: outcomes of the tables that are done, in the pack's order. */
  done?: TableOutcome[];
}

/** What became of the upstream's views. */
export interface ViewsOutcome {
  /** Views looked at, those that failed among them. */
  scanned: number;
  changed: number;
  errors: number;
  /** The first. */
  failures: TableFailure[];
  /** Namespaces may not be listed; they are among the failures. */
  refused?: boolean;
  upstreamRequests?: number;
  /** The connector was paused: where it goes on. Absent where all is done. */
  cursor?: unknown;
}

/** Heartbeat details of the activity that brings in views: what it has done so far, and where a next attempt goes on. */
export interface ViewsHeartbeat {
  views: ViewsOutcome;
}

/** A snapshot with so many new files that several activities bring in its groups of files before it can become visible. */
export interface TableSplit {
  tableId: string;
  /** Decimal, as the base is, from which the changes start. */
  snapshotId: string;
  base?: string;
  /** Idempotency key that the groups' streams share. */
  key: string;
  /** Positions of the reader of those that are not in yet. At most 64. */
  groups: { from: number; to: number }[];
}

/** What became of one table. */
export interface TableOutcome {
  changed: boolean;
  snapshots: number;
  files: number;
  bytesRead: number;
  upstreamRequests?: number;
  /** Of a dry run: expired snapshots that would be dropped in the same job. */
  snapshotsDropped?: number;
  /** The table failed with this, after what is counted here. */
  failure?: { code: string; message: string };
  /** The table is to be ingested again when these groups are in. Only where it was asked for. */
  split?: TableSplit;
}

export interface DropOutcome {
  tables: number;
  views: number;
  snapshots: number;
  upstreamRequests?: number;
}

export interface MissingInput extends Pick<CaptureOverrides, 'mode'> {
  connectorId: string;
  /** Of views, not of tables. */
  views?: boolean;
  /** The run has brought in views. */
  viewsListed?: boolean;
  /** The names of tables that the run has listed. If the same names are bound now, none can be gone. Absent for views. */
  listed?: NameChecksum;
  /** The run has told of namespaces that may not be listed: they are passed over. */
  refused?: boolean;
  /** Tables (or views) that there were before the run, those that were missing left out. Absent in older histories. */
  before?: number;
  /** However many are gone. */
  allowMissing?: boolean;
  dryRun?: boolean;
}

export interface MissingOutcome {
  marked: number;
  /** Of a dry run: of these, so many would be dropped at once. */
  dropped?: number;
  upstreamRequests?: number;
}

/** A job's record as the workflow knows it. */
export interface JobRecord {
  jobId: string;
  runId: string;
  connectorId: string;
  connectorName: string;
  full: boolean;
  message: string;
  progress: Progress;
  /** Failures since the last record; at most some hundred. */
  failures: TableFailure[];
  startedAtMs?: number;
  finishedAtMs?: number;
  /** Absent in older histories. */
  request?: ReconcileRequest;
}

/** What the workflow needs of a connector: bounded, and without credentials. */
export interface ResolvedConnector {
  connectorId: string;
  name: string;
  /** Tables ingested at the same time. */
  maxParallel: number;
  /** Of the activities that read its upstream. Absent: the common one. */
  taskQueue?: string;
  /** What has been gone for long enough is dropped. */
  drops?: boolean;
  /** Its webhook is told how jobs end. */
  alerts?: boolean;
  /** The cluster knows this project's search attributes. */
  searchAttributes: boolean;
}

/** Where a run's tables go, and what the connector has brought there before. */
export interface Destination {
  catalogId: string;
  namespaceId: string;
  /** What it still takes; those that are missing are left out. Absent in older histories. */
  before?: { tables: number; views: number };
}

export interface ScanPage {
  /** Absent after the last page. */
  cursor?: WalkCursor;
  /** Tables looked at; filtered ones are not among them. */
  scanned: number;
  unchanged: number;
  filtered: number;
  /** At most some hundred. */
  changed: TableRef[];
  /** The names of the tables looked at. */
  listed: NameChecksum;
  /** Requests made upstream. */
  upstreamRequests?: number;
  /** Namespaces that may not be listed. Absent where there are none. */
  refused?: TableFailure[];
  /** The upstream has views that the run brings in. Absent where not. */
  hasViews?: true;
}

export interface ScanInput extends CaptureOverrides {
  connectorId: string;
  full: boolean;
  scope?: ReconcileScope;
  /** Only the tables that failed in this job. */
  retryOf?: string;
  /** Absent for the first page. */
  cursor?: WalkCursor;
  /** What the workflow has counted so far: recorded on the way, so that it costs no event of its own. */
  record: JobRecord;
}

/** Where a walk over the upstream's namespaces stands. As deep as namespaces nest, and so bounded. */
export interface WalkCursor {
  /** The namespace whose tables come next. */
  namespace?: { path: NamespacePath } & PagePlace;
  /** Namespaces whose children are being visited, outermost first; `next` counts within the page of `token`. */
  parents: ({ path: NamespacePath; next: number } & PagePlace)[];
  /** Of a retry, which walks over the failures of a job: the page that comes next. */
  failures?: string;
}

/** Where a listing stands: the page that comes next, and whether its tokens go round. */
export interface PagePlace {
  token?: string;
  cycle?: PageCycle;
}

/** What a job takes of each table. */
export interface CaptureOptions {
  /** CURRENT is LATEST_N of 1. */
  snapshots: SnapshotSelection;
  mode: CaptureMode;
}

/** What the run itself says of it, in the inputs of activities. */
export type CaptureOverrides = Partial<CaptureOptions>;

/**
 * Notices that page tokens go round, in constant memory and in a cursor that lives in a history: Brent's algorithm (R. P. Brent,
 * An improved Monte Carlo factorization algorithm, 1980). One token is remembered, and replaced after twice as many pages each
 * time; a cycle brings the remembered one back at the latest three times its length after it was entered.
 */
export interface PageCycle {
  /** A token that was given before. */
  token: string;
  /** Pages since then, of as many as pass before another one is remembered. */
  pages: number;
  of: number;
}

export interface DropInput extends Pick<CaptureOverrides, 'mode'> {
  connectorId: string;
  /** The run has told of namespaces that may not be listed: they are passed over. */
  refused?: boolean;
  /** Views were listed. */
  views?: boolean;
  dryRun?: boolean;
}

export interface FileGroupInput extends Omit<TableSplit, 'groups'> {
  connectorId: string;
  table: TableRef;
  scope?: ReconcileScope;
  group: { from: number; to: number };
}

export interface IngestInput extends CaptureOverrides {
  connectorId: string;
  table: TableRef;
  full: boolean;
  scope?: ReconcileScope;
  /** The caller brings in the groups of a big snapshot in activities of their own, and then asks for the table again. */
  split?: boolean;
  dryRun?: boolean;
}

export interface IngestPackInput extends CaptureOverrides {
  connectorId: string;
  /** Some tens. */
  tables: TableRef[];
  full: boolean;
  scope?: ReconcileScope;
  /** As in `IngestInput`. */
  split?: boolean;
  dryRun?: boolean;
}

export interface ViewsInput extends CaptureOverrides {
  connectorId: string;
  full: boolean;
  scope?: ReconcileScope;
  /** Only the views that failed in this job. */
  retryOf?: string;
  /** Where an activity before it left off, since the connector was paused. */
  cursor?: WalkCursor;
  /** What the workflow has counted so far; the failures of views are recorded with it. */
  record: JobRecord;
  dryRun?: boolean;
}

/** Short steps against the catalog, served from the queue `reconciler`. */
export interface ControlActivities {
  resolveConnector(request: ReconcileRequest): Promise<ResolvedConnector>;
  claimConnector(input: { connectorId: string; jobId: string }): Promise<void>;
  awaitActive(input: { connectorId: string; record: JobRecord }): Promise<void>;
  ensureDestination(input: { connectorId: string; dryRun?: boolean }): Promise<Destination>;
  bindDestination(input: { connectorId: string; catalogId: string; namespaceId: string }): Promise<void>;
  recordJob(record: JobRecord): Promise<void>;
  takeAlert(input: { jobId: string }): Promise<Pick<AlertRequest, 'type' | 'failedJobId'> | undefined>;
  releaseConnector(input: { connectorId: string; jobId: string }): Promise<void>;
}

/** Steps that reach upstreams and webhooks, served from the queue `reconciler-ingest`. */
export interface IngestActivities {
  scanTables(input: ScanInput): Promise<ScanPage>;
  ingestTable(input: IngestInput): Promise<TableOutcome>;
  ingestFileGroup(input: FileGroupInput): Promise<TableOutcome>;
  ingestTables(input: IngestPackInput): Promise<TableOutcome[]>;
  reconcileViews(input: ViewsInput): Promise<ViewsOutcome>;
  reconcileMissing(input: MissingInput): Promise<MissingOutcome>;
  dropGone(input: DropInput): Promise<DropOutcome>;
  validateConnector(request: ValidateRequest): Promise<ValidateResult>;
  deliverAlert(request: AlertRequest): Promise<string>;
}
