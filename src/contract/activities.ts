import type { Claim } from './claim.ts';
import type {
  AlertRequest,
  CaptureMode,
  Counters,
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
  beginJob(input: BeginInput): Promise<BegunJob>;
  recordJob(input: RecordInput): Promise<void>;
  isPaused(input: JobClaim): Promise<boolean>;
  endJob(input: EndInput): Promise<EndedJob>;
}

/** Short steps that reach upstreams and webhooks, served from the queue `reconciler-scan`, or the one beside the connector's own. */
export interface ScanActivities {
  scanTables(input: ScanInput): Promise<ScanPage>;
  reconcileViews(input: ViewsInput): Promise<ViewsOutcome>;
  reconcileMissing(input: MissingInput): Promise<MissingOutcome>;
  dropGone(input: DropInput): Promise<DropOutcome>;
  deliverAlert(request: AlertRequest): Promise<string>;
  validateConnector(request: ValidateRequest): Promise<ValidateResult>;
}

/** Steps that may take long, served from the queue `reconciler-ingest` or the connector's own. */
export interface IngestActivities {
  ingestTable(input: IngestInput): Promise<TableOutcome>;
  ingestFileGroup(input: FileGroupInput): Promise<GroupOutcome>;
  ingestTables(input: IngestPackInput): Promise<PackOutcome>;
}

/** A job's claim in the inputs of its activities. Its run is the one that the activity belongs to. */
export type JobClaim = Omit<Claim, 'runId'>;

/** What the workflow needs to know about a connector: bounded, and without credentials. */
export interface ResolvedConnector {
  connectorId: string;
  name: string;
  /** Absent for the default tenant. */
  tenant?: string;
  /** Tables ingested at the same time. */
  maxParallel: number;
  /** The task queue of the activities that ingest from its upstream; absent if it is the common one. */
  taskQueue?: string;
  /** Objects that have been gone for long enough are dropped. */
  drops: boolean;
  /** The cluster knows this project's search attributes. */
  searchAttributes: boolean;
}

export interface BeginInput {
  /** The job as it would run. Its connector is the one that the request names, if that is not resolved yet. */
  record: JobRecord;
  request: ReconcileRequest;
  /** The job has a destination already: an earlier run of the workflow began it. */
  hasDestination: boolean;
  /** This run of the workflow continues another one, and has not claimed yet. Otherwise, a claim of another run means that the job was reset. */
  continued: boolean;
}

/** A job that has its connector, or waits for it. */
export interface BegunJob {
  connector: ResolvedConnector;
  /** Absent while another job is ahead. */
  epoch?: number;
  /** See `Destination`. */
  unverifiedSinceMs?: number;
  /** The job that is ahead. */
  waitsFor?: string;
  /** Absent if the job waits, or had one before. */
  destination?: Destination;
  /** The job has its connector, but cannot go on. */
  failure?: { code: string; message: string };
}

/** Where a job's tables go, and in which state they were when it began. */
export interface Destination {
  catalogId: string;
  namespaceId: string;
  /** The tables and views before the run that its patterns still take and that are not missing. */
  before: { tables: number; views: number };
  /** The restore of the catalog since which no job had verified the connector's tables in full: this job verifies all that it reads. */
  unverifiedSinceMs?: number;
}

/** A job's record as the workflow knows it. What its request says is recorded when the job begins. */
export interface JobRecord {
  jobId: string;
  /** The id of the workflow's first run. */
  runId: string;
  connectorId: string;
  connectorName: string;
  message: string;
  progress: Progress;
  /** Failures since the last record: at most several hundred. */
  failures: TableFailure[];
  startedAtMs?: number;
  finishedAtMs?: number;
}

export interface RecordInput extends Partial<JobClaim> {
  record: JobRecord;
}

export interface EndInput extends Partial<JobClaim> {
  record: JobRecord;
  /** Only of a job that never began: its request, which is not recorded yet. */
  request?: ReconcileRequest;
  /** What the connector is to be bound to. Absent if the job failed early, was cancelled or is a dry run. */
  bind?: Pick<Destination, 'catalogId' | 'namespaceId' | 'unverifiedSinceMs'>;
}

export interface EndedJob {
  /** The alert that the end of the job calls for. From now on it counts as sent. */
  alert?: Pick<AlertRequest, 'type' | 'failedJobId'>;
}

/** What a job takes from each table. */
export interface CaptureOptions {
  /** CURRENT is the same as LATEST_N with 1. */
  snapshots: SnapshotSelection;
  mode: CaptureMode;
  /** Neither the run nor the connector selects snapshots. */
  selectsByDefault?: boolean;
}

/** What the run's request overrides of the connector's capture options. */
export type CaptureOverrides = Partial<Pick<CaptureOptions, 'snapshots' | 'mode'>>;

/** What the run's request says about each table. */
export interface RequestOptions extends CaptureOverrides {
  scope?: ReconcileScope;
  /** Instead of `scope` and `snapshots`: the job whose recorded request has them. They are too long to be repeated in each input. */
  requestOf?: string;
  /** The job tries again what has failed: it also reports snapshots that an earlier job found to be unreadable. */
  retries?: true;
}

/** A step that counts something. */
export interface StepInput extends JobClaim {
  /** Names the step in the worker's reports of what it has counted; see `ProgressReport`. */
  step: string;
}

/** What a step has counted. */
export interface StepOutcome {
  counts: Counters;
}

/**
 * A step that works for a bounded time: it returns what it has done by then, and where it continues. So a cancel, a pause, a new build and
 * continue-as-new never wait for the slowest table.
 */
export interface SliceInput extends StepInput {
  /** After this time the step stops at the next point from which it can continue. */
  sliceSeconds: number;
}

export interface ScanInput extends SliceInput, RequestOptions {
  full: boolean;
  /** Only the tables that failed in this job. */
  retryOf?: string;
  /** Absent for the first page. */
  cursor?: WalkCursor;
  /** The names of the tables that earlier pages have listed. Absent if the run does not look for what is gone. */
  listed?: NameChecksum;
  /** What the workflow has counted so far: recorded by the scan, so that it needs no activity of its own. */
  record: JobRecord;
}

export interface ScanPage extends StepOutcome {
  /** Absent after the last page. */
  cursor?: WalkCursor;
  /** At most several hundred. */
  changed: TableRef[];
  /** The names of the tables looked at. */
  listed: NameChecksum;
  /** Namespaces that may not be listed; absent if there are none. */
  refused?: TableFailure[];
  /** The upstream has views, and the run takes them. */
  hasViews?: true;
  /** After the last page: the catalog has exactly the tables that were listed, so that none can be gone. */
  nothingGone?: true;
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

export interface IngestInput extends SliceInput, RequestOptions {
  table: TableRef;
  full: boolean;
  /** The caller ingests the file groups of a big snapshot in activities of their own, and then ingests the table again. */
  split: boolean;
  dryRun?: boolean;
  /** Where the slice before this one stopped. */
  cursor?: TableCursor;
}

export interface IngestPackInput extends Omit<IngestInput, 'table' | 'cursor'> {
  /** At most several dozen. */
  tables: TableRef[];
}

/** Where the next slice of a table continues. What is in the catalog is found there; this is the rest. */
export interface TableCursor {
  /** The snapshot being ingested (decimal), and the reader's position in it. */
  snapshotId?: string;
  position?: number;
  /** In a full rescan: the last snapshot that was verified (decimal). */
  verified?: string;
  /** The page of data files to be sketched next. */
  sketches?: string;
  unreadable?: UnreadableSnapshots;
}

/** The snapshots of a table that this job could not read. */
export interface UnreadableSnapshots {
  /** The last one (decimal). Those up to it are not tried again. */
  last: string;
  /** How many the job reports: those that no earlier job has found, and the current one. */
  count: number;
  /** The first of these (decimal), and why it cannot be read. Absent if `count` is 0. */
  first?: { snapshotId: string; code: string; reason: string; isCaptured: boolean };
}

/** The outcome of one slice of one table. */
export interface TableOutcome extends StepOutcome {
  changed: boolean;
  /** The slice is over: the table continues here. */
  cursor?: TableCursor;
  /** The table must be ingested again after these groups. Only if the input has `split`. */
  split?: TableSplit;
  /** The table is done, but for snapshots that cannot be read. */
  failure?: TableFailure;
}

/** A snapshot with many new files. Several activities ingest its file groups before it becomes visible. */
export interface TableSplit {
  tableId: string;
  /** Decimal, like the base from which the changes start. */
  snapshotId: string;
  base?: string;
  /** Idempotency key that the groups' streams share. */
  key: string;
  /** The groups that are not ingested yet. At most 64. */
  groups: FileGroup[];
}

/** A part of a snapshot's changes, by the reader's positions. */
export interface FileGroup {
  from: number;
  to: number;
  /** Where the slice before this one stopped. */
  at?: number;
}

export interface FileGroupInput
  extends SliceInput,
    Omit<TableSplit, 'groups'>,
    Pick<RequestOptions, 'scope' | 'requestOf'> {
  table: TableRef;
  group: FileGroup;
}

export interface GroupOutcome extends StepOutcome {
  /** The slice is over: the group continues at this position. */
  at?: number;
}

/** The outcome of one slice of a pack of tables. */
export interface PackOutcome extends StepOutcome {
  /** How many of the tables, from the first, it has dealt with. The others were not begun. */
  done: number;
  /** Tables to be run by themselves, by their index in the pack: each failed, has a snapshot to be split, or continues at a cursor. */
  again: { table: number; cursor?: TableCursor; changed?: true }[];
  /** Tables that are done, but for snapshots that cannot be read. */
  failures?: TableFailure[];
}

/** Heartbeat details. What was counted reaches the workflow, and the rest the next attempt. */
export interface HeartbeatDetails {
  counts: Counters;
}

export interface TableHeartbeat extends HeartbeatDetails {
  cursor?: TableCursor;
  /** How many of the files come before the cursor's position. The others are read again unless all of them are stored. */
  filesBefore?: number;
  /** Small snapshots that are on their way to the catalog, up to 200, with the numbers of their files. The next attempt counts those that are stored. */
  sent?: [snapshotId: string, files: number][];
}

/** What an activity did to a table or view, as the job's report lists it. */
export interface RecordedOutcome {
  kind: 'TABLE' | 'VIEW';
  result: 'UNFINISHED' | 'UPDATED' | 'CREATED';
  /** The upstream name, quoted if necessary; like the destination. */
  name: string;
  destination: string;
  ms: number;
  counts: Counters;
}

export interface PackHeartbeat extends HeartbeatDetails {
  outcome: PackOutcome;
  /** Outcomes that are still to be recorded. */
  recorded?: RecordedOutcome[];
  /** The table that comes next. */
  table?: TableHeartbeat;
}

export interface ScanHeartbeat extends HeartbeatDetails {
  /** What the page has so far. */
  page: ScanPage;
}

export interface ViewsInput extends SliceInput, RequestOptions {
  full: boolean;
  /** Only the views that failed in this job. */
  retryOf?: string;
  /** Where the slice before this one stopped. */
  cursor?: WalkCursor;
  /** The names of the views that earlier slices have listed. Absent if the run does not look for what is gone. */
  listed?: NameChecksum;
  /** What the workflow has counted so far; the failures of views are recorded with it. */
  record: JobRecord;
  dryRun?: boolean;
}

/** The outcome of one slice of the upstream's views. */
export interface ViewsOutcome extends StepOutcome {
  /** The first ones. */
  failures: TableFailure[];
  /** Some namespaces may not be listed; they are among the failures. */
  refused?: boolean;
  /** The names of the views looked at. */
  listed: NameChecksum;
  /** The slice is over, or the connector was paused: where to continue. Absent if all views are done. */
  cursor?: WalkCursor;
  /** After the last view: the catalog has exactly the views that were listed, so that none can be gone. */
  nothingGone?: true;
}

export interface ViewsHeartbeat extends HeartbeatDetails {
  views: ViewsOutcome;
}

export interface MissingInput extends StepInput, Pick<CaptureOverrides, 'mode'> {
  /** Mark views instead of tables. */
  views?: boolean;
  /** The run has listed views. */
  viewsListed?: boolean;
  /** The run has reported namespaces that may not be listed: they are skipped. */
  refused?: boolean;
  /** The tables (or views) that existed before the run, without those that were missing already. */
  before: number;
  /** The names of the tables (or views) that the run has listed: if the same names are bound now, none can be gone. */
  listed?: NameChecksum;
  /** Mark them, however many are gone. */
  allowMissing?: boolean;
  dryRun?: boolean;
}

export type MissingOutcome = StepOutcome;

export interface DropInput extends StepInput, Pick<CaptureOverrides, 'mode'> {
  /** The run has reported namespaces that may not be listed: they are skipped. */
  refused?: boolean;
  /** Views were listed. */
  views?: boolean;
  dryRun?: boolean;
}

export type DropOutcome = StepOutcome;
