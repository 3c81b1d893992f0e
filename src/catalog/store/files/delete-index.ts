import type { Kysely, Selectable } from 'kysely';
import type { DataFile } from '../../../generated/reconciler/v1/statistics.ts';
import { DELETION_VECTOR, EQUALITY_DELETES, type FileKind, POSITION_DELETES } from '../database/file-kind.ts';
import type { FileRow, Schema } from '../database/schema.ts';
import type { Position } from '../lineage/lineage.ts';
import { type LiveCursor, type LiveFile, liveInstances, nextLiveFiles } from './live-files.ts';

type Db = Kysely<Schema>;
type DeleteFileRow = Pick<
  Selectable<FileRow>,
  'file_num' | 'kind' | 'spec_id' | 'partition_key' | 'referenced_path' | 'body'
>;

const DELETES: readonly FileKind[] = [POSITION_DELETES, EQUALITY_DELETES, DELETION_VECTOR];

/** The partition key of files in a spec without fields. */
const UNPARTITIONED = Buffer.alloc(0);

/** A data file or delete file, with its decoded message. */
export interface PlannedFile {
  live: LiveFile;
  file: DataFile;
}

/** Delete files that may apply to some data files; plan-rules.ts decides which do. */
export interface CandidateDeletes {
  /** Equality deletes of unpartitioned specs, which apply to all data files. */
  global: LiveFile[];
  /** Equality deletes by partition. */
  equality: Map<string, LiveFile[]>;
  /** Position delete files for several data files, by partition. */
  position: Map<string, LiveFile[]>;
  /** Position delete files for one data file, by its path. */
  byPath: Map<string, LiveFile[]>;
  vectors: Map<string, LiveFile[]>;
}

/** A key for a file's partition. Partitions can only be equal within one spec. */
export function partitionOf(file: { specId: number; partitionKey: Uint8Array }): string {
  return `${file.specId}/${Buffer.from(file.partitionKey).toString('latin1')}`;
}

/** Up to this many delete files are read once and kept; otherwise those of each page of data files are looked up. */
const MAX_HELD = 5000n;

/**
 * Finds the delete files of a snapshot for pages of its data files. It keeps all of them in memory if they are few (MAX_HELD);
 * otherwise only those of one page, and the equality deletes that apply to every data file.
 */
export class DeleteIndex {
  readonly #db: Db;
  readonly #tableNum: number;
  readonly #ancestry: readonly Position[];
  readonly #globalSpecs: readonly number[];
  readonly #counts: { position: bigint; equality: bigint; vectors: bigint };
  #held: CandidateDeletes | undefined;
  #global: LiveFile[] | undefined;

  constructor(
    db: Db,
    options: {
      tableNum: number;
      ancestry: readonly Position[];
      /** Specs whose partition fields are all void: they are unpartitioned as well. */
      globalSpecs: readonly number[];
      /** Number of live delete files of each kind. */
      counts: { position: bigint; equality: bigint; vectors: bigint };
    },
  ) {
    this.#db = db;
    this.#tableNum = options.tableNum;
    this.#ancestry = options.ancestry;
    this.#globalSpecs = options.globalSpecs;
    this.#counts = options.counts;
  }

  async candidates(dataFiles: readonly PlannedFile[]): Promise<CandidateDeletes> {
    const { position, equality, vectors } = this.#counts;
    if (position + equality + vectors <= MAX_HELD) {
      this.#held ??= await this.#all();
      return this.#held;
    }
    const found = noCandidates(equality > 0n ? await this.#globalDeletes() : []);
    if (position + vectors > 0n) await this.#byPath(dataFiles, found);
    if (position + equality > 0n) {
      await this.#byPartition(
        dataFiles.map((data) => data.live),
        found,
      );
    }
    return found;
  }

  /** Reads the live delete files; those of older snapshots cost nothing. */
  async #all(): Promise<CandidateDeletes> {
    const found = noCandidates([]);
    let cursor: LiveCursor | undefined;
    do {
      const { files, next } = await nextLiveFiles(this.#db, this.#ancestry, DELETES, 500, cursor);
      for (const file of files) this.#classify(file, found);
      cursor = next;
    } while (cursor);
    return found;
  }

  #classify(file: LiveFile, found: CandidateDeletes): void {
    if (file.kind === EQUALITY_DELETES) {
      if (this.#isGlobal(file)) found.global.push(file);
      else append(found.equality, partitionOf(file), file);
    } else if (file.referencedPath !== null) {
      append(file.kind === DELETION_VECTOR ? found.vectors : found.byPath, file.referencedPath, file);
    } else if (file.kind === POSITION_DELETES) {
      append(found.position, partitionOf(file), file);
    }
  }

  async #globalDeletes(): Promise<LiveFile[]> {
    this.#global ??= await this.#live(
      await this.#files()
        .where('kind', '=', EQUALITY_DELETES)
        .where((eb) => eb.or([eb('partition_key', '=', UNPARTITIONED), eb('spec_id', 'in', this.#globalSpecs)]))
        .execute(),
    );
    return this.#global;
  }

  #isGlobal(file: { specId: number; partitionKey: Uint8Array }): boolean {
    return file.partitionKey.length === 0 || this.#globalSpecs.includes(file.specId);
  }

  async #byPath(dataFiles: readonly PlannedFile[], found: CandidateDeletes): Promise<void> {
    const rows = await this.#files()
      .where('kind', 'in', [POSITION_DELETES, DELETION_VECTOR])
      .where('referenced_path', 'in', [...new Set(dataFiles.map((data) => data.file.filePath))])
      .execute();
    for (const file of await this.#live(rows)) this.#classify(file, found);
  }

  async #byPartition(dataFiles: readonly LiveFile[], found: CandidateDeletes): Promise<void> {
    const partitions = new Map(dataFiles.map((file) => [partitionOf(file), file]));
    for (const [key, { specId, partitionKey }] of partitions) {
      const rows = await this.#files()
        .where('kind', 'in', [POSITION_DELETES, EQUALITY_DELETES])
        .where('spec_id', '=', specId)
        .where('partition_key', '=', partitionKey)
        .execute();
      // Equality deletes of unpartitioned specs are in `global`; position deletes for one data file are found by its path.
      const global = this.#isGlobal({ specId, partitionKey });
      const relevant = rows.filter((row) => (row.kind === EQUALITY_DELETES ? !global : row.referenced_path === null));
      for (const file of await this.#live(relevant)) {
        append(file.kind === EQUALITY_DELETES ? found.equality : found.position, key, file);
      }
    }
  }

  #files() {
    return (
      this.#db
        .selectFrom('files')
        .select(['file_num', 'kind', 'spec_id', 'partition_key', 'referenced_path', 'body'])
        .where('table_num', '=', this.#tableNum)
        // The same condition as in the partial index of delete files, so that SQLite uses it.
        .where('kind', '<>', 1)
    );
  }

  async #live(rows: readonly DeleteFileRow[]): Promise<LiveFile[]> {
    const byNum = new Map(rows.map((row) => [row.file_num, row]));
    const nums = [...byNum.keys()];
    const live: LiveFile[] = [];
    for (let start = 0; start < nums.length; start += 1000) {
      for (const row of await liveInstances(this.#db, this.#ancestry, nums.slice(start, start + 1000))) {
        const file = byNum.get(row.file_num) as DeleteFileRow;
        live.push({
          fileNum: row.file_num,
          kind: row.kind as FileKind,
          chain: row.chain_num,
          addedOrd: row.added_ord,
          sequenceNumber: row.sequence_number,
          fileSequenceNumber: row.file_sequence_number,
          addedSnapshotId: row.added_snapshot_id,
          body: file.body,
          specId: file.spec_id,
          partitionKey: file.partition_key,
          referencedPath: file.referenced_path,
        });
      }
    }
    return live;
  }
}

function noCandidates(global: LiveFile[]): CandidateDeletes {
  return { global, equality: new Map(), position: new Map(), byPath: new Map(), vectors: new Map() };
}

function append(map: Map<string, LiveFile[]>, key: string, file: LiveFile): void {
  const files = map.get(key);
  if (files) files.push(file);
  else map.set(key, [file]);
}
