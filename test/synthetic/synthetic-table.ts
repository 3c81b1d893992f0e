import { setTimeout as sleep } from 'node:timers/promises';
import type { TableRef } from '../../src/contract/upstream-names.ts';
import { packColumns } from '../../src/formats/columns/pack-columns.ts';
import type {
  ChangeRange,
  FileChange,
  FileChangeBatch,
  FileChangesOptions,
  HistoryEntry,
  LiveFileCounts,
  SnapshotDescriptor,
  TableDescriptor,
  TableReader,
} from '../../src/formats/table-reader.ts';

const SCHEMA = {
  type: 'struct',
  'schema-id': 0,
  fields: [
    { id: 1, name: 'id', required: true, type: 'long' },
    { id: 2, name: 'name', required: false, type: 'string' },
  ],
};
const ROWS = 1000;
const FILE_BYTES = 65_536;

import type { SyntheticUpstream } from './synthetic-upstream.ts';

/** A synthetic table. Each snapshot replaces all files of the previous one. */
export class SyntheticTable implements TableReader {
  readonly bytesRead = 0;
  readonly descriptor: TableDescriptor;
  readonly #rounds: readonly number[];
  readonly #files: number;
  readonly #batches: NonNullable<SyntheticUpstream['batches']>;

  constructor(
    { namespace, name }: TableRef,
    state: { rounds: readonly number[]; files: number; fingerprint: string } & Pick<SyntheticUpstream, 'batches'>,
  ) {
    this.#rounds = state.rounds;
    this.#files = state.files;
    this.#batches = state.batches ?? { size: Number.POSITIVE_INFINITY, delayMs: 0 };
    const location = `file:///synthetic/${namespace.join('/')}/${name}`;
    const current = idOf(state.rounds.at(-1) ?? 0);
    this.descriptor = {
      uuid: `uuid of ${name}`,
      format: 'ICEBERG',
      formatVersion: 2,
      location,
      metadataLocation: `${location}/metadata/${state.fingerprint}.metadata.json`,
      fingerprint: state.fingerprint,
      properties: {},
      schemas: [{ id: 0, json: JSON.stringify(SCHEMA) }],
      currentSchemaId: 0,
      partitionSpecs: [{ specId: 0, fields: [] }],
      defaultSpecId: 0,
      currentSnapshotId: current,
      refs: [{ name: 'main', snapshotId: current, type: 'branch' }],
    };
  }

  *history(): Iterable<HistoryEntry & { committedAtMs: number }> {
    for (const [i, round] of this.#rounds.entries()) {
      const before = this.#rounds[i - 1];
      yield {
        snapshotId: idOf(round),
        ...(before === undefined ? {} : { parentSnapshotId: idOf(before) }),
        sequenceNumber: round + 1,
        committedAtMs: Date.UTC(2026, 0, 1) + round * 1000,
        manifestList: `${this.descriptor.location}/metadata/snap-${round}.avro`,
      };
    }
  }

  async *snapshots(ids?: ReadonlySet<bigint>): AsyncIterable<SnapshotDescriptor> {
    for (const entry of this.history()) {
      if (ids && !ids.has(entry.snapshotId)) continue;
      yield {
        ...entry,
        operation: entry.parentSnapshotId === undefined ? 'append' : 'overwrite',
        summary: { 'total-data-files': String(this.#files) },
        schemaId: 0,
      };
    }
  }

  /** Ranges may begin and end at any file. */
  async changeRanges(
    _snapshotId: bigint,
    { base, size, maxRanges }: { base?: bigint; size: number; maxRanges: number },
  ): Promise<ChangeRange[]> {
    const each = base === undefined ? 1 : 2;
    const files = Math.max(1, Math.ceil(size / each), Math.ceil(this.#files / maxRanges));
    return Array.from({ length: Math.ceil(this.#files / files) }, (_, i) => {
      const [from, to] = [i * files, Math.min((i + 1) * files, this.#files)];
      return { from, to, changes: (to - from) * each };
    });
  }

  async *fileChanges(
    snapshotId: bigint,
    { base, from = 0, to = this.#files }: FileChangesOptions = {},
  ): AsyncIterable<FileChangeBatch> {
    const { size, delayMs } = this.#batches;
    for (let first = from; first < to; first += size) {
      if (delayMs > 0) await sleep(delayMs);
      const end = Math.min(first + size, to);
      yield { changes: this.#changes(snapshotId, base, first, end), position: end };
    }
  }

  #changes(snapshotId: bigint, base: bigint | undefined, from: number, to: number): FileChange[] {
    const changes: FileChange[] = [];
    for (let file = from; file < to; file++) {
      if (base !== undefined) changes.push({ kind: 'removed', path: this.#path(base, file) });
      changes.push({
        kind: 'added',
        file: {
          path: this.#path(snapshotId, file),
          content: 'DATA',
          format: 'PARQUET',
          recordCount: ROWS,
          fileSizeInBytes: FILE_BYTES,
          specId: 0,
          partition: [],
          columns: packColumns([
            {
              id: 1,
              sizeInBytes: 8 * ROWS,
              valueCount: ROWS,
              nullCount: 0,
              lower: long(file * ROWS),
              upper: long((file + 1) * ROWS),
            },
            { id: 2, sizeInBytes: 16 * ROWS, valueCount: ROWS, nullCount: 10 },
          ]),
        },
        sequenceNumber: Number(snapshotId),
        fileSequenceNumber: Number(snapshotId),
        addedSnapshotId: snapshotId,
      });
    }
    return changes;
  }

  async liveFileCounts(): Promise<LiveFileCounts> {
    return { dataFiles: this.#files, deleteFiles: 0 };
  }

  async [Symbol.asyncDispose](): Promise<void> {}

  #path(snapshotId: bigint, file: number): string {
    return `${this.descriptor.location}/data/${snapshotId}-${file}.parquet`;
  }
}

const idOf = (round: number) => BigInt(round + 1);

function long(value: number): Uint8Array {
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64LE(BigInt(value));
  return bytes;
}
