import type { CodedError } from '../../errors.ts';
import { RESTORE } from '../../formats/malformed.ts';
import type { SnapshotDescriptor, TableReader } from '../../formats/table-reader.ts';
import { truncate } from '../../text.ts';
import type { TableIngest } from '../plan/table-ingest.ts';
import type { TablePlan } from '../plan/table-plan.ts';
import { describeError } from '../runtime/failures.ts';
import { refuseChanged } from './changed-table.ts';
import type { IngestProgress } from './ingest-progress.ts';
import { putMetadata } from './put-metadata.ts';

/** In characters: the catalog's limit. */
const MAX_REASON = 2_000;
/** In characters, in the job's failure. */
const MAX_REPORTED = 700;
/** Snapshots that are kept before they are stored. */
const MAX_KEPT = 1_000;

/** Takes the snapshots of a table that cannot be read, so that everything else of the table comes in. */
export class UnreadableSnapshots {
  readonly #plan: TablePlan;
  readonly #input: TableIngest;
  readonly #reader: TableReader;
  readonly #progress: IngestProgress;
  #kept: { snapshot: SnapshotDescriptor; error: CodedError }[] = [];

  constructor(plan: TablePlan, input: TableIngest, reader: TableReader, progress: IngestProgress) {
    this.#plan = plan;
    this.#input = input;
    this.#reader = reader;
    this.#progress = progress;
  }

  /**
   * The job reports a snapshot if no earlier job has found it to be unreadable, or if it tries again what failed. The current one is reported by every
   * job.
   *
   * @param isCounted an earlier attempt has counted it, and ended before it was stored
   */
  async add(snapshot: SnapshotDescriptor, error: CodedError, isCounted: boolean): Promise<void> {
    const { snapshotId } = snapshot;
    const isReported = this.#isReported(snapshotId);
    const { count = 0, first } = this.#progress.unreadable ?? {};
    const id = String(snapshotId);
    const isCaptured = this.#plan.snapshots.captured.has(snapshotId);
    const own = { snapshotId: id, code: error.code, reason: reasonOf(error, MAX_REPORTED), isCaptured };
    this.#progress.unreadable = {
      last: id,
      count: count + (isReported && !isCounted ? 1 : 0),
      first: first ?? (isReported ? own : undefined),
    };
    this.#kept.push({ snapshot, error });
    if (this.#kept.length >= MAX_KEPT) await this.store();
  }

  /** Stores why they cannot be read. A captured snapshot keeps its files. @throws CodedError ABORTED if the table has changed meanwhile */
  async store(): Promise<void> {
    const { deps, upstream, table } = this.#input;
    const { messages } = this.#plan.snapshots;
    const { tableId } = this.#plan.ensured.stored;
    const kept = this.#kept;
    this.#kept = [];
    // What an earlier job has found already needs no proof: a table that changes all the time would never get on.
    const found = kept.findLast(({ snapshot }) => this.#isReported(snapshot.snapshotId));
    if (found) await refuseChanged(upstream, table, this.#reader, found.error);
    if (kept.length > 0) await this.#plan.ensured.newTable?.create();
    for (const { snapshot, error } of kept) {
      const stored = messages.get(snapshot.snapshotId);
      if (!stored?.captured) await putMetadata(deps, tableId, snapshot, stored, reasonOf(error, MAX_REASON));
    }
  }

  #isReported(snapshotId: bigint): boolean {
    const isKnown = Boolean(this.#plan.snapshots.messages.get(snapshotId)?.unreadable);
    return !isKnown || Boolean(this.#input.retries) || snapshotId === this.#reader.descriptor.currentSnapshotId;
  }
}

/** Why a snapshot cannot be read, and what brings it in: a text that may be stored and shown, whatever the broken file contains. */
function reasonOf(error: CodedError, maxLength: number): string {
  const advice =
    error.code === 'UNIMPLEMENTED'
      ? ' Once a newer release supports it, run a job with --full.'
      : ' Restore the file and run a job with --full.';
  const message = describeError(error).message.replace(RESTORE, '').replaceAll('\0', '\u{fffd}');
  return truncate(message, maxLength - advice.length) + advice;
}
