import type { Kysely } from 'kysely';
import type { Snapshot } from '../../../generated/reconciler/v1/snapshots.ts';
import type { Schema } from '../database/schema.ts';
import type { ExpectedCounts } from '../files/expected-counts.ts';
import type { ParsedChange } from '../files/file-change-row.ts';
import type { FileWriter, WriteTarget } from '../files/file-writer.ts';
import type { StoredSnapshot } from '../snapshots/snapshots.ts';

/** Of one snapshot. */
export const MAX_GROUPS = 1000;

/** What a stream's header says. */
export interface PutHeader {
  tableId: string;
  snapshotId: bigint;
  idempotencyKey: string;
  replace: boolean;
  whole: boolean;
  /** To be upserted first. */
  snapshot?: Snapshot;
}

export interface Finish extends ExpectedCounts {
  /** Each must be in. */
  groups: readonly string[];
  /** Goes on in the transaction that makes the snapshot visible. Not for streams that replace. */
  after?(trx: Kysely<Schema>): Promise<void>;
}

/** Takes the changes of one stream. Each call is a transaction of its own. */
export interface ChangeStream {
  /** @returns rows written for good */
  write(changes: readonly ParsedChange[]): Promise<number>;
  /** Takes the last changes and makes all of it visible. @returns rows written for good */
  finish(finish: Finish, changes: readonly ParsedChange[]): Promise<number>;
  /** Takes the last changes of a group. Not of streams that replace. @returns rows written for good */
  finishGroup?(group: string, changes: readonly ParsedChange[]): Promise<number>;
  /** The groups that are in. */
  groups?(): Promise<string[]>;
  /** Ends a stream that was not finished. */
  abandon(): Promise<void>;
}

export interface OpenStream {
  row: StoredSnapshot;
  target: WriteTarget;
  header: PutHeader;
  /** Unique a stream. */
  id: string;
  writer: FileWriter;
}
