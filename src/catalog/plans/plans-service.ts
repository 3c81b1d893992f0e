import { z } from 'zod';
import type { PlanFile, PlansServiceImplementation } from '../../generated/reconciler/v1/plans.ts';
import { DataFile } from '../../generated/reconciler/v1/statistics.ts';
import { PartitionSpec } from '../../generated/reconciler/v1/tables.ts';
import type { ServiceDeps } from '../core/ports.ts';
import { messageBytes } from '../reading/file-messages.ts';
import { liveFiles, openSnapshot, refuseReplaced, type SnapshotReader } from '../reading/snapshot-reader.ts';
import { PageTokens, pageSize } from '../rpc/page-token.ts';
import { Checks, invalid } from '../rpc/violations.ts';
import { DATA } from '../store/database/file-kind.ts';
import { MAX_PAGE_BYTES } from '../store/database/page-cut.ts';
import { DeleteIndex } from '../store/files/delete-index.ts';
import { type LiveCursor, type LiveFile, liveCursor } from '../store/files/live-files.ts';
import { totalsFromText } from '../store/files/totals.ts';
import { currentAt } from '../store/snapshots/snapshot-log.ts';
import { deletesFor } from './delete-matching.ts';

const tokens = new PageTokens('GetPlan', z.object({ snapshot: z.string(), generation: z.int(), after: liveCursor }));

/** Approximate size of the messages of a stream. Larger messages pile up in the heap until they are garbage-collected. */
const CHUNK_BYTES = 128 * 1024;
const CHUNK_FILES = 500;
/** Number of data files whose delete files are looked up together. */
const LOOKUP_FILES = 100;
/** Number of decoded delete files that are kept, because global equality deletes apply to every data file. */
const MAX_DECODED = 2000;

interface PlanSelection {
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
          throw invalid('page_token', 'is not a token that GetPlan returned');
        }
      }
      const files: PlanFile[] = [];
      let bytes = 0;
      let last: LiveCursor | undefined;
      for await (const { planned, cursor, size: fileBytes } of plan(reader, token?.after)) {
        if (last && (files.length === size || bytes + fileBytes > MAX_PAGE_BYTES)) {
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

  function open(selection: PlanSelection, pinned: bigint | undefined): Promise<SnapshotReader> {
    return openSnapshot(
      db,
      selection.tableId,
      async (table) => {
        if (pinned !== undefined || selection.snapshotId !== undefined) return pinned ?? selection.snapshotId;
        return selection.asOf && currentAt(db, table, selection.asOf);
      },
      selection.columns,
    );
  }

  /** Yields the plan of one data file at a time. Delete files are looked up for `LOOKUP_FILES` of them together. */
  async function* plan(
    reader: SnapshotReader,
    after: LiveCursor | undefined,
  ): AsyncIterable<{ planned: PlanFile; cursor: LiveCursor; size: number }> {
    const deletes = deleteIndex(reader);
    const decoded = new DecodedFiles();
    for await (const batch of liveFiles(db, reader, [DATA], after)) {
      for (let start = 0; start < batch.length; start += LOOKUP_FILES) {
        const part = batch
          .slice(start, start + LOOKUP_FILES)
          .map((live) => ({ live, file: DataFile.decode(live.body) }));
        const candidates = deletes && (await deletes.candidates(part));
        for (const data of part) {
          const { live, file } = data;
          const applied = candidates
            ? deletesFor(data, candidates, (live) => decoded.get(live), reader.schemas.find)
            : [];
          await reader.places.load(applied);
          const message = reader.messages.message(live, file);
          let size = messageBytes(live, message);
          const deleteFiles = applied.map((live) => {
            const deletes = reader.messages.message(live, decoded.get(live));
            size += messageBytes(live, deletes);
            return deletes;
          });
          yield { planned: { file: message, deleteFiles }, cursor: live.cursor as LiveCursor, size };
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

function check(selection: PlanSelection): void {
  const checks = new Checks();
  checks.id(selection.tableId, 'table_id');
  checks.timestamp(selection.asOf, 'as_of');
  checks.done();
}

/** The messages of the delete files that were decoded last. */
class DecodedFiles {
  readonly #files = new Map<number, DataFile>();

  get(live: LiveFile): DataFile {
    let file = this.#files.get(live.fileNum);
    if (file) return file;
    file = DataFile.decode(live.body);
    this.#files.set(live.fileNum, file);
    if (this.#files.size > MAX_DECODED) this.#files.delete(this.#files.keys().next().value as number);
    return file;
  }
}
