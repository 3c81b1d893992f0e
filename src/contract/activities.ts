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

/** Short steps against the catalog, served from the queue `reconciler`; in the order in which a job takes them. */
export interface ControlActivities {
  resolveConnector(request: ReconcileRequest): Promise<ResolvedConnector>;
  claimConnector(input: { connectorId: string; jobId: string }): Promise<void>;
  ensureDestination(input: { connectorId: string; dryRun?: boolean }): Promise<Destination>;
  awaitActive(input: { connectorId: string; record: JobRecord }): Promise<void>;
  bindDestination(input: { connectorId: string; catalogId: string; namespaceId: string }): Promise<void>;
  recordJob(record: JobRecord): Promise<void>;
  takeAlert(input: { jobId: string }): Promise<Pick<AlertRequest, 'type' | 'failedJobId'> | undefined>;
  releaseConnector(input: { connectorId: string; jobId: string }): Promise<void>;
}

/**
 * Steps that reach upstreams and webhooks, served from the queue `reconciler-ingest` or the connector's own; in the order in which a job
 * takes them.
 */
export interface IngestActivities {
  scanTables(input: ScanInput): Promise<ScanPage>;
  ingestTable(input: IngestInput): Promise<TableOutcome>;
  ingestFileGroup(input: FileGroupInput): Promise<TableOutcome>;
  ingestTables(input: IngestPackInput): Promise<TableOutcome[]>;
  reconcileViews(input: ViewsInput): Promise<ViewsOutcome>;
  reconcileMissing(input: MissingInput): Promise<MissingOutcome>;
  dropGone(input: DropInput): Promise<DropOutcome>;
  deliverAlert(request: AlertRequest): Promise<string>;
  validateConnector(request: ValidateRequest): Promise<ValidateResult>;
}

/** What the workflow needs to know about a connector: bounded, and without credentials. */
export interface ResolvedConnector {
  connectorId: string;
  name: string;
  /** Tables ingested at the same time. */
  maxParallel: number;
  /** The task queue of the activities that read its upstream; absent if it is the common one. */
  taskQueue?: string;
  /** Objects that have been gone for long enough are dropped. */
  drops: boolean;
  /** It has a webhook, which receives how jobs end. */
  alerts: boolean;
  /** The cluster knows this project's search attributes. */
  searchAttributes: boolean;
}

/** Where a run's tables go, and what the connector has brought there before. */
export interface Destination {
  catalogId: string;
  namespaceId: string;
  /** The tables and views before the run that its patterns still take and that are not missing. */
  before: { tables: number; views: number };
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
  /** Failures since the last record: at most several hundred. */
  failures: TableFailure[];
  startedAtMs?: number;
  finishedAtMs?: number;
  request: ReconcileRequest;
}

/** What a job takes from each table. */
export interface CaptureOptions {
  /** CURRENT is the same as LATEST_N with 1. */
  snapshots: SnapshotSelection;
  mode: CaptureMode;
}

/** What the run's request overrides of the connector's capture options. */
export type CaptureOverrides = Partial<CaptureOptions>;

export interface ScanInput extends CaptureOverrides {
  connectorId: string;
  full: boolean;
  scope?: ReconcileScope;
  /** Only the tables that failed in this job. */
  retryOf?: string;
  /** Absent for the first page. */
  cursor?: WalkCursor;
  /** What the workflow has counted so far: recorded by the scan, so that it needs no activity of its own. */
  record: JobRecord;
}

export interface ScanPage {
  /** Absent after the last page. */
  cursor?: WalkCursor;
  /** Tables looked at, without those that were filtered. */
  scanned: number;
  unchanged: number;
  filtered: number;
  /** At most several hundred. */
  changed: TableRef[];
  /** The names of the tables looked at. */
  listed: NameChecksum;
  upstreamRequests?: number;
  /** Namespaces that may not be listed; absent if there are none. */
  refused?: TableFailure[];
  /** The upstream has views, and the run takes them. */
  hasViews?: true;
}

/** Where a walk over the upstream's namespaces stands. It is as deep as namespaces nest, and so bounded. */
export interface WalkCursor {
  /** The namespace whose tables come next. */
  namespace?: { path: NamespacePath } & PagePlace;
  /** Namespaces whose children are being visited, outermost first; `next` counts within the page of `token`. */
  parents: ({ path: NamespacePath; next: number } & PagePlace)[];
  /** In a retry, which walks over the failures of a job instead: the page that comes next. */
  failures?: string;
}

/** Where a listing stands: the page that comes next, and whether its tokens repeat. */
export interface PagePlace {
  token?: string;
  cycle?: PageCycle;
}

/**
 * Detects repeating page tokens in constant memory, by Brent's algorithm (R. P. Brent, An improved Monte Carlo factorization algorithm,
 * 1980), since the cursor is kept in a history. One token is remembered, and replaced after twice as many pages each time; a cycle
 * returns to the remembered token at the latest three times its length after it was entered.
 */
export interface PageCycle {
  /** An earlier page's token. */
  token: string;
  /** Pages since then, … */
  pages: number;
  /** … and the number of pages after which another token is remembered. */
  of: number;
}

export interface IngestInput extends CaptureOverrides {
  connectorId: string;
  table: TableRef;
  full: boolean;
  scope?: ReconcileScope;
  /** The caller ingests the file groups of a big snapshot in activities of their own, and then ingests the table again. */
  split: boolean;
  dryRun?: boolean;
}

export interface IngestPackInput extends Omit<IngestInput, 'table'> {
  /** At most several dozen. */
  tables: TableRef[];
}

/** The outcome of one table. */
export interface TableOutcome {
  changed: boolean;
  snapshots: number;
  files: number;
  bytesRead: number;
  upstreamRequests?: number;
  /** In a dry run: expired snapshots that would be dropped in the same job. */
  snapshotsDropped?: number;
  /** The table failed with this, after what is counted here. */
  failure?: { code: string; message: string };
  /** The table must be ingested again after these groups. Only if the input has `split`. */
  split?: TableSplit;
}

/** A snapshot with many new files. Several activities ingest its file groups before it becomes visible. */
export interface TableSplit {
  tableId: string;
  /** Decimal, like the base from which the changes start. */
  snapshotId: string;
  base?: string;
  /** Idempotency key that the groups' streams share. */
  key: string;
  /** The reader's positions of the groups that are not ingested yet. At most 64. */
  groups: { from: number; to: number }[];
}

export interface FileGroupInput extends Omit<TableSplit, 'groups'> {
  connectorId: string;
  table: TableRef;
  scope?: ReconcileScope;
  group: { from: number; to: number };
}

/** Heartbeat details of an ingest: what it has done so far, and where the next attempt continues. */
export interface IngestHeartbeat {
  snapshots: number;
  files: number;
  bytesRead: number;
  /** The snapshot being ingested (decimal), and the reader's position in it. */
  snapshotId?: string;
  position?: number;
  /** How many of the files come before that position. The others are read again unless all of them are stored. */
  filesBefore?: number;
  /** In a pack: the outcomes of the tables that are done, in the pack's order. */
  done?: TableOutcome[];
}

export interface ViewsInput extends CaptureOverrides {
  connectorId: string;
  full: boolean;
  scope?: ReconcileScope;
  /** Only the views that failed in this job. */
  retryOf?: string;
  /** Where the activity before this one stopped because the connector was paused. */
  cursor?: WalkCursor;
  /** What the workflow has counted so far; the failures of views are recorded with it. */
  record: JobRecord;
  dryRun?: boolean;
}

/** The outcome of the upstream's views. */
export interface ViewsOutcome {
  /** Views looked at, including those that failed. */
  scanned: number;
  changed: number;
  errors: number;
  /** The first ones. */
  failures: TableFailure[];
  /** Some namespaces may not be listed; they are among the failures. */
  refused?: boolean;
  upstreamRequests?: number;
  /** The connector was paused: where to continue. Absent if all views are done. */
  cursor?: WalkCursor;
}

/** Heartbeat details of the activity that ingests views: what it has done so far, and where the next attempt continues. */
export interface ViewsHeartbeat {
  views: ViewsOutcome;
}

export interface MissingInput extends Pick<CaptureOverrides, 'mode'> {
  connectorId: string;
  /** Mark views instead of tables. */
  views?: boolean;
  /** The run has listed views. */
  viewsListed?: boolean;
  /** The names of the tables that the run has listed: if the same names are bound now, none can be gone. Absent for views. */
  listed?: NameChecksum;
  /** The run has reported namespaces that may not be listed: they are skipped. */
  refused?: boolean;
  /** The tables (or views) that existed before the run, without those that were missing already. */
  before: number;
  /** Mark them, however many are gone. */
  allowMissing?: boolean;
  dryRun?: boolean;
}

export interface MissingOutcome {
  marked: number;
  /** In a dry run: how many of these would be dropped in the same job. */
  dropped?: number;
  upstreamRequests?: number;
}

export interface DropInput extends Pick<CaptureOverrides, 'mode'> {
  connectorId: string;
  /** The run has reported namespaces that may not be listed: they are skipped. */
  refused?: boolean;
  /** Views were listed. */
  views?: boolean;
  dryRun?: boolean;
}

export interface DropOutcome {
  tables: number;
  views: number;
  snapshots: number;
  upstreamRequests?: number;
}
