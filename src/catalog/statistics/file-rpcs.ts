import { setImmediate } from 'node:timers/promises';
import { z } from 'zod';
import {
  type DataFile,
  FileContent,
  type TableStatisticsServiceImplementation,
} from '../../generated/reconciler/v1/statistics.ts';
import type { ServiceDeps } from '../core/ports.ts';
import { messageBytes } from '../reading/file-messages.ts';
import { liveFiles, openSnapshot, refuseReplaced } from '../reading/snapshot-reader.ts';
import { PageTokens, pageSize } from '../rpc/page-token.ts';
import { checkIds, invalid } from '../rpc/violations.ts';
import {
  DATA,
  DELETION_VECTOR,
  EQUALITY_DELETES,
  FILE_KINDS,
  type FileKind,
  POSITION_DELETES,
} from '../store/database/file-kind.ts';
import { MAX_PAGE_BYTES } from '../store/database/page-cut.ts';
import { type LiveCursor, liveCursor } from '../store/files/live-files.ts';

const tokens = new PageTokens(
  'ListFileColumnStats',
  z.object({ snapshot: z.string(), generation: z.int(), after: liveCursor }),
);

/** Approximate size of the messages of a stream. Larger messages pile up in the heap until they are garbage-collected. */
const CHUNK_BYTES = 128 * 1024;
const CHUNK_FILES = 1000;

const KINDS: Record<FileContent, readonly FileKind[]> = {
  [FileContent.FILE_CONTENT_UNSPECIFIED]: FILE_KINDS,
  [FileContent.FILE_CONTENT_DATA]: [DATA],
  [FileContent.FILE_CONTENT_POSITION_DELETES]: [POSITION_DELETES, DELETION_VECTOR],
  [FileContent.FILE_CONTENT_EQUALITY_DELETES]: [EQUALITY_DELETES],
};

/** The RPCs of the service TableStatistics that read files. */
export function createFileRpcs({
  db,
}: ServiceDeps): Pick<TableStatisticsServiceImplementation, 'listFileColumnStats' | 'streamFileColumnStats'> {
  return {
    async listFileColumnStats(request) {
      checkIds({ table_id: request.tableId });
      const size = pageSize(request.pageSize);
      const filter = [request.tableId, request.snapshotId, request.columns, request.fileContent];
      const token = tokens.decode(request.pageToken, filter);
      const snapshotId = token ? BigInt(token.snapshot) : request.snapshotId;
      const reader = await openSnapshot(db, request.tableId, async () => snapshotId, request.columns);
      const kinds = KINDS[request.fileContent];
      if (token) {
        await refuseReplaced(db, reader, token.generation);
        const { step, kind } = token.after;
        if (!reader.path[step] || !kinds[kind])
          throw invalid('page_token', 'is not a token that ListFileColumnStats returned');
      }
      const files: DataFile[] = [];
      let bytes = 0;
      let last: LiveCursor | undefined;
      for await (const batch of liveFiles(db, reader, kinds, token?.after)) {
        for (const file of batch) {
          const message = reader.messages.message(file);
          bytes += messageBytes(file, message);
          // This file does not fit, so there is a next page.
          if (last && (files.length === size || bytes > MAX_PAGE_BYTES)) {
            const cursor = { snapshot: reader.row.snapshot_id, generation: reader.generation, after: last };
            return { files, nextPageToken: tokens.encode(cursor, filter) };
          }
          files.push(message);
          last = file.cursor;
        }
        await setImmediate();
      }
      return { files, nextPageToken: '' };
    },

    async *streamFileColumnStats(request) {
      checkIds({ table_id: request.tableId });
      const reader = await openSnapshot(db, request.tableId, async () => request.snapshotId, request.columns);
      let files: DataFile[] = [];
      let bytes = 0;
      for await (const batch of liveFiles(db, reader, KINDS[request.fileContent])) {
        for (const file of batch) {
          files.push(reader.messages.message(file));
          bytes += file.body.length;
          if (bytes < CHUNK_BYTES && files.length < CHUNK_FILES) continue;
          yield { files };
          files = [];
          bytes = 0;
        }
        await setImmediate();
      }
      if (files.length > 0) yield { files };
    },
  };
}
