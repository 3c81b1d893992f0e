import type { Updateable } from 'kysely';
import type { EnsureTableRequest } from '../../../generated/reconciler/internal/v1/bindings.ts';
import type { Snapshot } from '../../../generated/reconciler/v1/snapshots.ts';
import type { TableSchema } from '../../../generated/reconciler/v1/tables.ts';
import type { TableRow } from '../database/schema.ts';
import type { Scoped } from '../database/scoped.ts';
import type { ExpectedCounts } from '../files/expected-counts.ts';
import type { ParsedChange } from '../files/file-change-row.ts';
import type { FileWriter } from '../files/file-writer.ts';
import type { WriteTarget } from '../files/write-target.ts';
import type { StoredSnapshot } from '../snapshots/snapshots.ts';
import type { BindingColumns } from '../tables/binding-columns.ts';

/** Maximum number of groups per snapshot. */
export const MAX_GROUPS = 1000;

/** A stream's header. */
export interface PutHeader {
  tableId: string;
  snapshotId: bigint;
  idempotencyKey: string;
  replace: boolean;
  whole: boolean;
  /** Snapshot to upsert before the changes. */
  snapshot?: Snapshot;
  /** Table to ensure before the snapshot. */
  ensureTable?: EnsureTableRequest;
}

/** What a finish makes of a table. */
export interface TableState {
  /** The table's own columns that change. */
  columns: Updateable<TableRow>;
  binding: BindingColumns;
  /** The version of its schema that becomes current. */
  schema?: Pick<TableSchema, 'schemaId' | 'json'>;
}

export interface Finish extends ExpectedCounts {
  /** Groups of changes, all of which must be staged. */
  groups: readonly string[];
  /** Runs in the transaction that makes the snapshot visible. Not for streams that replace. */
  after?(trx: Scoped): Promise<void>;
  /** The same as `after`, if that replaces the table's whole binding: a table that does not exist yet is created in this state. */
  state?: TableState;
}

/** Receives the changes of one stream. Each call runs in its own transaction. */
export interface ChangeStream {
  /** The finish replaces another snapshot of the same id, whose files are to be purged. */
  readonly replacesOther?: boolean;
  /** @returns rows written permanently */
  write(changes: readonly ParsedChange[]): Promise<number>;
  /** Receives the last changes and makes the snapshot visible. @returns rows written permanently */
  finish(finish: Finish, changes: readonly ParsedChange[]): Promise<number>;
  /** Receives the last changes of a group. Not for streams that replace. @returns rows written permanently */
  finishGroup?(group: string, changes: readonly ParsedChange[]): Promise<number>;
  /** The groups that are staged completely. */
  groups?(): Promise<string[]>;
  /** Ends a stream that was not finished. */
  abandon(): Promise<void>;
}

export interface OpenStream {
  row: StoredSnapshot;
  target: WriteTarget;
  header: PutHeader;
  /** Unique per stream. */
  id: string;
  writer: FileWriter;
}
