import type { TableCursor, TableHeartbeat, TableOutcome, UnreadableSnapshots } from '../../contract/activities.ts';
import type { TableFailure } from '../../contract/job.ts';
import type { TableReader } from '../../formats/table-reader.ts';
import { formatName } from '../../names.ts';
import { plural } from '../../text.ts';
import type { SnapshotPlan } from '../plan/snapshot-plan.ts';
import type { TableIngest } from '../plan/table-ingest.ts';
import { jobFailure } from '../runtime/job-failure.ts';
import { requestsMade } from '../runtime/request-count.ts';

/** What the attempts at a table have done so far, as its heartbeats and its outcome report it. */
export class IngestProgress {
  readonly #input: TableIngest;
  readonly #reader: TableReader;
  /** A large table may have waited for memory until its slice was over: opening it for a single snapshot would not pay. */
  readonly #began = Date.now();
  snapshots: number;
  files: number;
  /** Where the next attempt or slice continues. */
  cursor?: TableCursor;
  unreadable?: UnreadableSnapshots;
  /** Snapshots that are on their way to the catalog. */
  sent: NonNullable<TableHeartbeat['sent']> = [];
  /** In the catalog. A full rescan writes only what differs. */
  rowsWritten = 0;

  constructor(input: TableIngest, reader: TableReader, { captured }: SnapshotPlan) {
    const { resume, full } = input;
    this.#input = input;
    this.#reader = reader;
    // What previous attempts ingested counts for this table, too.
    const { snapshotsIngested = 0, filesIngested = 0 } = resume?.counts ?? {};
    this.snapshots = snapshotsIngested;
    this.files = resume?.filesBefore ?? filesIngested;
    this.unreadable = resume?.cursor?.unreadable;
    this.cursor = full && resume?.cursor?.verified ? { verified: resume.cursor.verified } : undefined;
    // A snapshot whose response was lost is in.
    const begun = resume?.cursor?.snapshotId;
    if (!full && begun !== undefined && captured.has(BigInt(begun))) {
      this.snapshots += 1;
      this.files = filesIngested;
    }
    for (const [snapshotId, files] of resume?.sent ?? []) {
      if (!captured.has(BigInt(snapshotId))) continue;
      this.snapshots += 1;
      this.files += files;
    }
  }

  beat(): void {
    const { counts, place: cursor, sent } = this;
    this.#input.heartbeat.beat({
      counts,
      cursor,
      ...(sent.length > 0 && { sent: [...sent] }),
    } satisfies TableHeartbeat);
  }

  /** What the next attempt or slice gets. */
  get place(): TableCursor | undefined {
    return this.unreadable ? { ...this.cursor, unreadable: this.unreadable } : this.cursor;
  }

  /** Whether the slice is over, and the table should continue at the cursor. */
  get isOver(): boolean {
    return this.#input.heartbeat.isOver?.(this.#began) ?? false;
  }

  get counts() {
    const { snapshots, files } = this;
    return { snapshotsIngested: snapshots, filesIngested: files, bytesRead: this.#reader.bytesRead };
  }

  outcome(isPlanned: boolean): TableOutcome {
    return {
      changed: isPlanned || this.snapshots > 0 || this.rowsWritten > 0,
      counts: { ...this.counts, upstreamRequests: requestsMade(this.#input.upstream.usage) },
    };
  }

  /** The outcome of the table's last slice. */
  lastOutcome(isPlanned: boolean): TableOutcome {
    const failure = this.unreadable && failureOf(this.#input, this.unreadable);
    return { ...this.outcome(isPlanned), ...(failure && { failure }) };
  }
}

/** Why a table whose other snapshots are in has failed; undefined if nothing is to be reported. */
function failureOf({ table }: TableIngest, { count, first }: UnreadableSnapshots): TableFailure | undefined {
  if (!first) return undefined;
  const others = count > 1 ? ` and ${plural(count - 1, 'other')}` : '';
  const { snapshotId, code, reason, isCaptured } = first;
  const found = isCaptured ? 'cannot be verified' : 'cannot be read';
  const rest = isCaptured ? 'What was ingested of it stays.' : 'Everything else of the table is in the catalog.';
  const message = `Snapshot ${snapshotId}${others} ${found}: ${reason} ${rest}`;
  return jobFailure(formatName([...table.namespace, table.name]), { code, message });
}

/** What an attempt has done that ended at a heartbeat. Files after the cursor are sent, and counted, again. */
export function outcomeOf({ counts, cursor = {}, filesBefore }: TableHeartbeat): TableOutcome {
  const { snapshotsIngested = 0, filesIngested = 0 } = counts;
  return {
    changed: snapshotsIngested > 0 || filesIngested > 0,
    counts: { ...counts, filesIngested: filesBefore ?? filesIngested },
    cursor,
  };
}
