import type { IngestHeartbeat, TableOutcome } from '../../contract/activities.ts';
import type { TableReader } from '../../formats/table-reader.ts';
import type { SnapshotPlan } from '../plan/snapshot-plan.ts';
import type { TableIngest } from '../plan/table-ingest.ts';
import { requestsMade } from '../runtime/request-count.ts';

/** What the attempts at a table have done so far, as its heartbeats and its outcome report it. */
export class IngestProgress {
  readonly #input: TableIngest;
  readonly #reader: TableReader;
  snapshots: number;
  files: number;
  /** In the catalog. A full rescan writes only what differs. */
  rowsWritten = 0;

  constructor(input: TableIngest, reader: TableReader, { captured }: SnapshotPlan) {
    const { resume, full } = input;
    this.#input = input;
    this.#reader = reader;
    // What previous attempts ingested counts for this table, too.
    this.snapshots = resume?.snapshots ?? 0;
    this.files = resume?.filesBefore ?? resume?.files ?? 0;
    // A snapshot whose response was lost is in.
    if (!full && resume?.snapshotId !== undefined && captured.has(BigInt(resume.snapshotId))) {
      this.snapshots += 1;
      this.files = resume.files;
    }
  }

  beat(): void {
    const { snapshots, files } = this;
    this.#input.heartbeat.beat({ snapshots, files, bytesRead: this.#reader.bytesRead } satisfies IngestHeartbeat);
  }

  outcome(isPlanned: boolean): TableOutcome {
    const { snapshots, files, rowsWritten } = this;
    return {
      changed: isPlanned || snapshots > 0 || rowsWritten > 0,
      snapshots,
      files,
      bytesRead: this.#reader.bytesRead,
      upstreamRequests: requestsMade(this.#input.upstream.usage),
    };
  }
}
