import { z } from 'zod';
import type { PlanFile, PlansServiceImplementation } from '../../generated/reconciler/v1/plans.ts';
import { DataFile } from '../../generated/reconciler/v1/statistics.ts';
import { PartitionSpec } from '../../generated/reconciler/v1/tables.ts';
import type { ServiceDeps } from '../core/ports.ts';
import { liveFiles, openSnapshot, refuseReplaced, type SnapshotReader } from '../reading/snapshot-reader.ts';
import { PageTokens, pageSize } from '../rpc/page-token.ts';
import { Checks, invalid } from '../rpc/violations.ts';
import { DATA } from '../store/database/file-kind.ts';
import { DeleteIndex } from '../store/files/delete-index.ts';
import { type LiveCursor, type LiveFile, liveCursor } from '../store/files/live-files.ts';
import { totalsFromText } from '../store/files/totals.ts';
import { currentAt } from '../store/snapshots/snapshot-log.ts';
import { deletesFor } from './delete-matching.ts';

const tokens = new PageTokens('GetPlan', z.object({ snapshot: z.string(), generation: z.int(), after: liveCursor }));

/** A page is cut after so many bytes of stored statistics, delete files included; it has at least one data file. */
const PAGE_BYTES = 8 * 1024 * 1024;
/** Size of the messages of a stream, about. With larger ones the heap grows by what it has not collected yet. */
const CHUNK_BYTES = 128 * 1024;
const CHUNK_FILES = 500;
/** Data files whose deletes are looked up together. */
const STEP = 100;

interface Which {
  tableId: string;
  snapshotId?: bigint | undefined;
  asOf?: Date | undefined;
  columns: string[];
}

/** The service Plans. */
export function createPlansService({ db }: ServiceDeps): PlansServiceImplementation {
  return {
    async getPlan(request) {
      check(request);
      const size = pageSize(request.pageSize);
      const filter = [request.tableId, request.snapshotId, request.asOf?.getTime(), request.columns];
      const token = tokens.decode(request.pageToken, filter);
      const reader = await open(request, token && BigInt(token.snapshot));
      if (token) {
        await refuseReplaced(db, reader, token.generation);
        if (!reader.path[token.after.step] || token.after.kind > 0) {
          throw invalid('page_token', 'is not one that this call gave');
        }
      }
      const files: PlanFile[] = [];
      let bytes = 0;
      let last: LiveCursor | undefined;
      for await (const { planned, cursor, size: fileBytes } of plan(reader, token?.after)) {
        if (last && (files.length === size || bytes + fileBytes > PAGE_BYTES)) {
          const at = { snapshot: reader.row.snapshot_id, generation: reader.generation, after: last };
          return { files, nextPageToken: tokens.encode(at, filter), snapshotId: BigInt(reader.row.snapshot_id) };
        }
        files.push(planned);
        bytes += fileBytes;
        last = cursor;
      }
      return { files, nextPageToken: '', snapshotId: BigInt(reader.row.snapshot_id) };
    },

    async *streamPlan(request) {
      check(request);
      const reader = await open(request, undefined);
      const snapshotId = BigInt(reader.row.snapshot_id);
      let files: PlanFile[] = [];
      let bytes = 0;
      for await (const { planned, size } of plan(reader, undefined)) {
        files.push(planned);
        bytes += size;
        if (bytes < CHUNK_BYTES && files.length < CHUNK_FILES) continue;
        yield { files, snapshotId };
        files = [];
        bytes = 0;
      }
      if (files.length > 0) yield { files, snapshotId };
    },
  };

  function open(which: Which, pinned: bigint | undefined): Promise<SnapshotReader> {
    return openSnapshot(
      db,
      which.tableId,
      async (table) => {
        if (pinned !== undefined || which.snapshotId !== undefined) return pinned ?? which.snapshotId;
        return which.asOf && currentAt(db, table, which.asOf);
      },
      which.columns,
    );
  }

  /** Plans data file by data file; a lookup of deletes serves some of them. */
  async function* plan(
    reader: SnapshotReader,
    after: LiveCursor | undefined,
  ): AsyncIterable<{ planned: PlanFile; cursor: LiveCursor; size: number }> {
    const deletes = deleteIndex(reader);
    // Equality deletes that are for every file come again and again.
    const decoded = new DecodedFiles(2000);
    for await (const batch of liveFiles(db, reader, [DATA], after)) {
      for (let start = 0; start < batch.length; start += STEP) {
        const part = batch.slice(start, start + STEP).map((live) => ({ live, file: DataFile.decode(live.body) }));
        const candidates = deletes && (await deletes.candidates(part));
        for (const data of part) {
          const { live, file } = data;
          const applied = candidates
            ? deletesFor(data, candidates, (one) => decoded.get(one), reader.schemas.find)
            : [];
          await reader.places.load(applied);
          yield {
            planned: {
              file: reader.messages.message(live, file),
              deleteFiles: applied.map((one) => reader.messages.message(one, decoded.get(one))),
            },
            cursor: live.cursor as LiveCursor,
            size: applied.reduce((sum, one) => sum + one.body.length, live.body.length),
          };
        }
      }
    }
  }

  function deleteIndex({ table, row, path }: SnapshotReader): DeleteIndex | undefined {
    const totals = totalsFromText(row.totals as string);
    const counts = { position: totals[2].files, equality: totals[3].files, vectors: totals[4].files };
    if (counts.position + counts.equality + counts.vectors === 0n) return undefined;
    const globalSpecs = (JSON.parse(table.partition_specs) as unknown[])
      .map(PartitionSpec.fromJSON)
      .filter((spec) => spec.fields.every((field) => field.transform === 'void'))
      .map((spec) => spec.specId);
    return new DeleteIndex(db, { tableNum: table.table_num, ancestry: path, globalSpecs, counts });
  }
}

function check(which: Which): void {
  const checks = new Checks();
  checks.id(which.tableId, 'table_id');
  checks.timestamp(which.asOf, 'as_of');
  checks.done();
}

/** Messages of delete files, the last ones used. */
class DecodedFiles {
  readonly #files = new Map<number, DataFile>();
  readonly #most: number;

  constructor(most: number) {
    this.#most = most;
  }

  get(live: LiveFile): DataFile {
    let file = this.#files.get(live.fileNum);
    if (file) return file;
    file = DataFile.decode(live.body);
    this.#files.set(live.fileNum, file);
    if (this.#files.size > this.#most) this.#files.delete(this.#files.keys().next().value as number);
    return file;
  }
}
