import type { Generated } from 'kysely';
import type { ObjectKind } from '../../../generated/reconciler/internal/v1/bindings.ts';

/**
 * The tables of the database, as Kysely sees them. The migrations create them.
 *
 * Times are milliseconds since 1970. Snapshot ids have 64 bits, so they are stored as TEXT. Counts, sizes and sequence numbers
 * are checked to be safe integers before they are stored. `num` columns are internal numbers, which never leave the database.
 */
export interface Schema {
  service: ServiceRow;
  catalogs: CatalogRow;
  namespaces: NamespaceRow;
  object_names: ObjectNameRow;
  tables: TableRow;
  table_contents: TableContentRow;
  table_schemas: TableSchemaRow;
  views: ViewRow;
  bindings: BindingRow;
  connectors: ConnectorRow;
  missing_counts: MissingCountsRow;
  claim_waiters: ClaimWaiterRow;
  jobs: JobRow;
  job_runs: JobRunRow;
  job_failures: JobFailureRow;
  job_changes: JobChangeRow;
  job_outcomes: JobOutcomeRow;
  idempotency_keys: IdempotencyKeyRow;
  clock_periods: ClockPeriodRow;
  snapshots: SnapshotRow;
  chains: ChainRow;
  dropped_positions: DroppedPositionRow;
  files: FileRow;
  memberships: MembershipRow;
  branch_removals: BranchRemovalRow;
  replacement_changes: ReplacementChangesRow;
  column_states: ColumnStateRow;
  put_columns: PutColumnRow;
  file_sketches: FileSketchesRow;
  derived_ndv: DerivedNdvRow;
  tenants: TenantRow;
  tokens: TokenRow;
  token_tenants: TokenTenantRow;
  connector_drafts: ConnectorDraftRow;
  audit_events: AuditEventRow;
}

/** The only row of its table: what is known of the catalog as a whole. */
export interface ServiceRow {
  service_num: 1;
  /** Distinguishes this catalog from others that use the same Temporal; a copy has it too, unless it was restored with a new one. */
  catalog_id: string;
  created_at: number;
  /** When the database was last restored from a backup; null if never. */
  restored_at: number | null;
}

interface Resource {
  tenant_id: string;
  created_at: number;
  updated_at: number;
  etag: string;
}

export interface CatalogRow extends Resource {
  catalog_id: string;
  display_name: string;
  description: string;
  /** JSON object. */
  properties: string;
}

export interface NamespaceRow extends Resource {
  namespace_id: string;
  catalog_id: string;
  /** See path-key.ts. */
  path_key: string;
  description: string;
  properties: string;
}

/** Names of tables and views. Within a namespace, each name belongs to one table or view. */
export interface ObjectNameRow {
  namespace_id: string;
  name: string;
  object_id: string;
}

export interface TableRow extends Resource {
  table_id: string;
  /** Its current contents: see TableContentRow. */
  table_num: number;
  catalog_id: string;
  namespace_id: string;
  name: string;
  description: string;
  /** TableFormat. */
  format: string;
  format_version: number;
  location: string;
  metadata_location: string;
  properties: string;
  /** The current schema; null if the table has none. */
  schema_id: number | null;
  /** JSON array of PartitionSpec. */
  partition_specs: string;
  default_spec_id: number;
  current_snapshot_id: string | null;
  /** JSON array of SnapshotRef. */
  refs: string;
}

/**
 * The contents to which snapshots, files and schemas belong. A table that was dropped and created again upstream keeps its id
 * and gets new contents; the old contents are purged later, in small steps.
 */
export interface TableContentRow {
  table_num: Generated<number>;
  table_id: string;
  /** Number of replacements of statistics. It changes so that no reader mixes old and new pages. */
  generation: number;
  /** 1 if the contents wait to be purged. */
  dropped: number;
  /** How many times sketches of files were put; 0 if there are none. */
  sketched: Generated<number>;
  /** How many rows `files` has of the table. */
  files: Generated<number>;
}

export interface TableSchemaRow {
  table_num: number;
  schema_id: number;
  json: string;
}

export interface ViewRow extends Resource {
  view_id: string;
  catalog_id: string;
  namespace_id: string;
  name: string;
  /** proto3 JSON of the View without what the other columns hold. */
  body: string;
}

/** The upstream name from which a table or view was ingested, and the state in which it was read. */
export interface BindingRow {
  object_id: string;
  tenant_id: string;
  kind: ObjectKind;
  /** Null if no connector owns the object: it was created by hand, or its connector was deleted. */
  connector_id: string | null;
  /** See path-key.ts. */
  upstream_path_key: string;
  upstream_name: string;
  /** See upstream-name-hash.ts; the same 64 bits as a signed integer. Only SQL reads it, since JavaScript numbers are too small. */
  name_hash: bigint;
  upstream_uuid: string;
  fingerprint: string;
  /** See TableUpstream. Empty for a view. */
  coverage: string;
  fetched_at: number | null;
  missing_since: number | null;
}

export interface ConnectorRow extends Resource {
  connector_id: string;
  display_name: string;
  state: string;
  /** The job that has claimed the connector; empty if it is free. */
  running_job_id: string;
  /** Number of claims so far; 0 before the first. */
  claim_epoch: number;
  /** The Temporal run that has the claim or, if the connector is free, had the last one. */
  claim_run_id: string;
  /** 1 if it is being deleted together with the tables and views that it owns. */
  delete_contents: number;
  /** The restore since which no job has verified all its tables in full; null if there is none. */
  unverified_since: number | null;
  /** The last alert for its webhook, as JSON (see alerts.ts); empty if there was none. */
  last_alert: string;
  /** proto3 JSON of the Connector without what the other columns hold. */
  body: string;
}

/** What the job that last claimed a connector has marked as missing: see missing-share.ts. */
export interface MissingCountsRow {
  connector_id: string;
  kind: ObjectKind;
  job_id: string;
  /** Tables, or views, that were not missing before the job. */
  present: number;
  /** Those of them that the job has marked. */
  marked: number;
}

/** A job that waits for its connector. Waiters are served in the order of their numbers. */
export interface ClaimWaiterRow {
  waiter_num: Generated<number>;
  tenant_id: string;
  connector_id: string;
  job_id: string;
}

export interface JobRow {
  /** In the order in which the jobs were recorded, which the clock does not change. */
  job_num: Generated<number>;
  job_id: string;
  tenant_id: string;
  connector_id: string;
  connector_name: string;
  state: string;
  message: string;
  created_at: number;
  started_at: number | null;
  finished_at: number | null;
  full_rescan: number;
  /** JobCounters as proto3 JSON. */
  counters: string;
  phase: string;
  run_id: string;
  /** JobTrigger. */
  trigger_kind: string;
  mode: string;
  dry_run: number;
  paused: number;
  request_json: string;
  retry_of_job_id: string;
  /** The alert that its end caused, as JSON (see alerts.ts): empty if it caused none, null before that was determined. */
  alert: string | null;
  /** 0 if the job's report is there, 1 while it is being removed, 2 if it was removed. */
  report: Generated<number>;
  /** 1 if whoever triggered or retried the job allows it to mark any number of objects as missing. Records of workers do not change it. */
  allow_missing: Generated<number>;
}

/** A Temporal run of a job that has claimed its connector or waited for it. The latest one has the highest number. */
export interface JobRunRow {
  run_num: Generated<number>;
  tenant_id: string;
  job_id: string;
  run_id: string;
}

export interface JobFailureRow {
  tenant_id: string;
  job_id: string;
  table_name: string;
  code: string;
  message: string;
  failed_at: number;
  /** JobFailureKind. */
  kind: string;
}

/** What one step of a job did to a table or view. */
export interface JobOutcomeRow {
  tenant_id: string;
  job_id: string;
  /** JobChangeKind. */
  kind: string;
  name: string;
  /** The run and the activity that recorded it. */
  step: string;
  destination: string;
  /** Number of a JobResult; that of the object is the greatest of its steps. CREATED is stored as UPDATED. */
  result: number;
  /** 1 if the step created the object. */
  created: number;
  duration_ms: number;
  snapshots: number;
  files: number;
  bytes_read: number;
  requests: number;
}

/** What a dry run would do. */
export interface JobChangeRow {
  tenant_id: string;
  job_id: string;
  /** JobChangeKind. */
  kind: string;
  name: string;
  destination: string;
  /** JobChangeAction. */
  action: string;
  reason: string;
}

/** The resource that the first request with a key created. */
export interface IdempotencyKeyRow {
  tenant_id: string;
  /** The method. */
  scope: string;
  idempotency_key: string;
  request_hash: string;
  resource_id: string;
  created_at: number;
}

/** A time in which the wall clock and the machine's uptime advanced together: see clock.ts. */
export interface ClockPeriodRow {
  /** From 1, in the order in which they began. */
  period_num: number;
  /** Identifies the time since the machine's last start. */
  boot_id: string;
  /** Milliseconds since the machine's start. */
  uptime_at_start: number;
  started_at: number;
  ended_at: number;
}

export interface SnapshotRow {
  snapshot_num: Generated<number>;
  table_num: number;
  snapshot_id: string;
  parent_snapshot_id: string | null;
  sequence_number: number;
  committed_at: number | null;
  operation: string;
  summary: string;
  schema_id: number | null;
  manifest_list: string;
  fetched_at: number;
  expired_at: number | null;
  /** Null if it has no base, or if its base was dropped: it then holds all files that are live in its ancestry. */
  base_snapshot_id: string | null;
  first_row_id: string | null;
  added_rows: string | null;
  /** Its position: see chains. */
  chain_num: number;
  ord: number;
  /** 1 once all its files are stored, which makes the snapshot captured. */
  complete: number;
  /**
   * Ordinal among the visible snapshots, in the order in which they became visible or, later, complete; null while it is only
   * staged. A visible snapshot that is not complete has metadata but no files.
   */
  published: number | null;
  /** Key of the stream whose changes are staged or, if complete, stored. Null before the first stream. */
  stage_key: string | null;
  /** While staged: names of the groups of changes that are stored, as a JSON array. */
  staged_groups: string | null;
  /** While it is not complete: when the last stream was opened or, before the first one, when it was created. Null if nothing is staged. */
  staged_at: number | null;
  /** Totals as JSON (see totals.ts); null while staged. */
  totals: string | null;
  /** Number of rows that a reader sees; `absent` if it cannot be computed, null before it is first requested. */
  live_rows: string | null;
  ndv: string | null;
  /** Key of the last finished PutColumnStats. */
  put_columns_key: string | null;
  /** 1 while it is staged to take the place of another snapshot that has its id. */
  replacement: number;
  /** Why its files cannot be read; empty if they were read, or if nobody has tried. */
  unreadable: string;
}

/**
 * A sequence of snapshots, each based on the one before: the snapshot at `ord` n+1 holds the files of the one at n, with its own
 * changes. A snapshot whose base is not the newest of its chain starts a new chain, which stores the position of its fork.
 */
export interface ChainRow {
  chain_num: Generated<number>;
  table_num: number;
  parent_chain_num: number | null;
  parent_ord: number | null;
  /** The newest position in use. */
  tip_ord: number;
}

/** The position of a dropped snapshot. It is kept while files that were added there are live in later snapshots. */
export interface DroppedPositionRow {
  chain_num: number;
  ord: number;
  table_num: number;
  /** The dropped snapshot's id. */
  snapshot_id: string;
  /** 0 while files that only this snapshot held wait to be reclaimed. */
  cleared: number;
}

/**
 * A file of a table, stored once for all snapshots that hold it as this body describes it. A path that is written again, or that a snapshot
 * lists twice, has several rows.
 */
export interface FileRow {
  file_num: Generated<number>;
  table_num: number;
  /** See path-hash.ts; the path itself is in the body. */
  path_hash: Uint8Array;
  /** Tells the rows of a path apart. */
  variant: number;
  /** See file-kind.ts. */
  kind: number;
  /** -1 if nobody counted them. */
  record_count: number;
  /** A deletion vector's own bytes, otherwise the file's. */
  size_bytes: number;
  spec_id: number;
  partition_key: Uint8Array;
  referenced_path: string | null;
  /** reconciler.v1.DataFile as it was received. */
  body: Uint8Array;
}

/** A file that the snapshot at (chain, added_ord) added and the snapshot at (chain, removed_ord) removed. */
export interface MembershipRow {
  chain_num: number;
  added_ord: number;
  file_num: number;
  /** OPEN_END until a snapshot of the chain removes the file. */
  removed_ord: number;
  kind: number;
  record_count: number;
  size_bytes: number;
  sequence_number: number;
  file_sequence_number: number;
  /** Null for the snapshot at (chain, added_ord) itself. */
  added_snapshot_id: string | null;
  /** Which entry of that snapshot's metadata lists the file: see FileChange in statistics.proto. */
  entry_number: number;
}

/** The snapshot at (chain, ord) removed a file that an ancestor chain added at (from_chain, added_ord). */
export interface BranchRemovalRow {
  chain_num: number;
  ord: number;
  file_num: number;
  from_chain_num: number;
  added_ord: number;
}

/** What a replacing stream will change in the stored snapshot. It is kept until the stream finishes. */
export interface ReplacementChangesRow {
  stream_id: string;
  /** Ordinal in the stream, from 1. */
  batch: number;
  /** An array of ParsedChange, or an Extraneous, serialized by V8, since only the process that wrote it reads it. */
  changes: Uint8Array;
}

/** Column statistics derived from a snapshot's live data files; later snapshots' statistics are derived from them. */
export interface ColumnStateRow {
  snapshot_num: number;
  table_num: number;
  state: string;
}

/** Column statistics that a caller stored. */
export interface PutColumnRow {
  snapshot_num: number;
  column_id: number;
  /** reconciler.v1.ColumnStats. */
  body: Uint8Array;
}

/** Sketches of a file's columns. */
export interface FileSketchesRow {
  file_num: number;
  /** Why the file cannot be read; empty if it was sketched. */
  unreadable: string;
  /** Key of the requested columns; empty for all. */
  columns_key: string;
  /** reconciler.v1.FileSketches without what the other columns hold. */
  body: Uint8Array;
}

/** The number of distinct values of a column at a snapshot, derived from its files' sketches at the first request. */
export interface DerivedNdvRow {
  snapshot_num: number;
  column_id: number;
  table_num: number;
  /** reconciler.v1.Ndv; empty if no live file has a sketch of the column. */
  body: Uint8Array;
}

export interface TenantRow {
  tenant_id: string;
  description: string;
  /** Empty: the catalog's own. */
  temporal_namespace: string;
  /** Empty: the common one. */
  task_queue: string;
  /** reconciler.v1.TenantLimits as JSON. */
  limits: string;
  created_at: number;
  updated_at: number;
  etag: string;
}

/** An API token. */
export interface TokenRow {
  token_id: string;
  /** SHA-256 of the secret. */
  secret_hash: Uint8Array;
  subject: string;
  /** JSON: ids, or `*` alone. */
  tenants: string;
  /** JSON: see `Role`. */
  roles: string;
  created_at: number;
  created_by: string;
  expires_at: number | null;
  revoked_at: number | null;
  /** To the hour. */
  last_used_at: number | null;
}

/** Finds the tokens of a tenant; those of all tenants have the id `*`. */
export interface TokenTenantRow {
  tenant_id: string;
  token_id: string;
}

/** A connector that is to be validated before it is stored. */
export interface ConnectorDraftRow {
  draft_id: string;
  tenant_id: string;
  /** reconciler.v1.Connector as JSON. */
  body: string;
  created_at: number;
}

export interface AuditEventRow {
  audit_num: Generated<number>;
  at: number;
  /** Empty for calls that concern no tenant. */
  tenant_id: string;
  subject: string;
  issuer: string;
  /** JSON. */
  roles: string;
  method: string;
  resource: string;
  allowed: number;
  code: string;
  /** JSON: the paths of an update mask. */
  fields: string;
  peer: string;
  trace_id: string;
}
