import type { Statement } from 'better-sqlite3';
import type { Database } from '../database/database.ts';
import { OPEN_END, type Position } from '../lineage/lineage.ts';
import { described, type ParsedChange } from './file-change-row.ts';
import { FileRemover } from './file-remover.ts';
import { type NewFileStatements, NewFiles, prepareNewFiles } from './new-files.ts';
import { addedByOther, type WriteTarget } from './write-target.ts';

/** A stored file of a path and, if the snapshot itself adds it, its addition. */
interface KnownFile {
  file_num: number;
  variant: number;
  record_count: number;
  size_bytes: number;
  body: Buffer;
  entry_number: number | null;
  sequence_number: number | null;
  file_sequence_number: number | null;
  added_snapshot_id: string | null;
}

const writers = new WeakMap<Database['sqlite'], FileWriter>();

/**
 * Writes file changes in bulk.
 *
 * Only this class, NewFiles and FileRemover bypass Kysely: at some ten thousand files per second, one promise and one compiled query per row cost more
 * than the rows themselves. The statements are plain SQL; on Postgres, one COPY per chunk would replace them.
 */
export class FileWriter {
  readonly #newFiles: NewFileStatements;
  readonly #insertVariant: Statement;
  readonly #knownFiles: Statement;
  readonly #insertMember: Statement;
  readonly #updateMember: Statement;
  readonly #updateBranchRemovals: Statement;
  readonly #copySketches: Statement;
  readonly #deleteOrphan: Statement;
  readonly #deleteSketches: Statement;
  readonly #countFiles: Statement;
  readonly #remover: FileRemover;
  /** Rows that the current call has added to `files`, less those that it has deleted, besides those of `NewFiles`. */
  #variants = 0;

  /** One per database: preparing the statements costs as much as writing ten files. */
  static of({ sqlite }: Pick<Database, 'sqlite'>): FileWriter {
    let writer = writers.get(sqlite);
    if (!writer) {
      writer = new FileWriter({ sqlite });
      writers.set(sqlite, writer);
    }
    return writer;
  }

  private constructor({ sqlite }: Pick<Database, 'sqlite'>) {
    this.#newFiles = prepareNewFiles(sqlite);
    this.#insertVariant = sqlite.prepare(
      `insert into files (table_num, path_hash, variant, kind, record_count, size_bytes, spec_id, partition_key, referenced_path, body)
       values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    );
    this.#knownFiles = sqlite.prepare(
      `select f.file_num, f.variant, f.record_count, f.size_bytes, f.body, m.entry_number, m.sequence_number, m.file_sequence_number,
         m.added_snapshot_id
       from files f left join memberships m on m.file_num = f.file_num and m.chain_num = ? and m.added_ord = ?
       where f.table_num = ? and f.path_hash = ? order by f.variant`,
    );
    this.#insertMember = sqlite.prepare(
      `insert into memberships (chain_num, added_ord, file_num, removed_ord, kind, record_count, size_bytes, sequence_number,
         file_sequence_number, added_snapshot_id, entry_number)
       values (?, ?, ?, ${OPEN_END}, ?, ?, ?, ?, ?, ?, ?)`,
    );
    this.#updateMember = sqlite.prepare(
      `update memberships set file_num = ?, kind = ?, record_count = ?, size_bytes = ?, sequence_number = ?, file_sequence_number = ?,
         added_snapshot_id = ?
       where chain_num = ? and added_ord = ? and file_num = ?`,
    );
    this.#updateBranchRemovals = sqlite.prepare(
      'update branch_removals set file_num = ? where from_chain_num = ? and added_ord = ? and file_num = ?',
    );
    this.#copySketches = sqlite.prepare(
      `insert into file_sketches (file_num, unreadable, columns_key, body)
       select ?, unreadable, columns_key, body from file_sketches where file_num = ? on conflict (file_num) do nothing`,
    );
    this.#deleteOrphan = sqlite.prepare(
      'delete from files where file_num = ? and not exists (select 1 from memberships m where m.file_num = files.file_num)',
    );
    this.#deleteSketches = sqlite.prepare('delete from file_sketches where file_num = ?');
    this.#countFiles = sqlite.prepare('update table_contents set files = files + ? where table_num = ?');
    this.#remover = new FileRemover(sqlite);
  }

  /**
   * Upserts changes. Call it inside a transaction, without an await.
   *
   * A file that is added while it is already live counts twice, as in Iceberg's engines, unless the addition replaces what is live. A file that is removed and added in the same
   * snapshot stays live, whatever the order. Removing a file that is not live changes nothing. Other snapshots keep what they hold.
   *
   * @returns rows written
   */
  write(target: WriteTarget, changes: readonly ParsedChange[]): number {
    const newFiles = new NewFiles(this.#newFiles, target);
    this.#variants = 0;
    let rows = 0;
    for (const change of changes) {
      if (change.added && newFiles.add(change)) {
        rows += 2;
        continue;
      }
      // Memberships of the same file may be among those that are still to be written.
      newFiles.flush();
      rows += change.added ? this.#addKnown(target, change) : this.#remover.remove(target, change);
    }
    newFiles.flush();
    this.#count(target, newFiles.count + this.#variants);
    return rows;
  }

  /** Like `write`, for files that the table does not have. @returns false if it has one, or a path is there twice: roll back what was written */
  writeNew(target: WriteTarget, changes: readonly ParsedChange[]): boolean {
    const newFiles = new NewFiles(this.#newFiles, target);
    for (const change of changes) if (!newFiles.add(change)) return false;
    newFiles.flush();
    this.#count(target, newFiles.count);
    return true;
  }

  #count({ tableNum }: WriteTarget, files: number): void {
    if (files !== 0) this.#countFiles.run(files, tableNum);
  }

  /** Adds a file whose path the table has. */
  #addKnown(target: WriteTarget, change: ParsedChange): number {
    const ended = change.replacesLive ? this.#remover.remove(target, { ...change, addedSnapshotId: '' }) : 0;
    return ended + this.#addAgain(target, change);
  }

  #addAgain(target: WriteTarget, change: ParsedChange): number {
    const { tableNum, ancestry } = target;
    const { chain, ord } = ancestry[0] as Position;
    const known = this.#knownFiles.all(chain, ord, tableNum, change.pathHash) as KnownFile[];
    const stored = known.find((file) => file.entry_number === change.entryNumber);
    if (stored?.body.equals(change.body)) return this.#updateNumbers(target, stored, change);
    // A file can be added only once at a position: another entry needs another row, even if it says the same.
    const free = known.find((file) => file.entry_number === null && file.body.equals(change.body));
    const variant = (known.at(-1)?.variant ?? 0) + 1;
    const another = [tableNum, change.pathHash, variant, ...described(change)];
    const fileNum = free?.file_num ?? Number(this.#insertVariant.run(...another).lastInsertRowid);
    const rows = free ? 0 : 1;
    this.#variants += rows;
    return (
      rows + (stored ? this.#moveAddition(target, stored, fileNum, change) : this.#addMember(target, fileNum, change))
    );
  }

  #addMember(target: WriteTarget, fileNum: number, change: ParsedChange): number {
    const { chain, ord } = target.ancestry[0] as Position;
    const { kind, recordCount, sizeBytes, sequenceNumber, fileSequenceNumber, entryNumber } = change;
    const addedBy = addedByOther(target, change);
    const numbers = [sequenceNumber, fileSequenceNumber, addedBy, entryNumber];
    return this.#insertMember.run(chain, ord, fileNum, kind, recordCount, sizeBytes, ...numbers).changes;
  }

  #updateNumbers(target: WriteTarget, stored: KnownFile, change: ParsedChange): number {
    const isSame =
      stored.sequence_number === change.sequenceNumber &&
      stored.file_sequence_number === change.fileSequenceNumber &&
      stored.added_snapshot_id === addedByOther(target, change);
    return isSame ? 0 : this.#setMember(target, stored.file_num, stored.file_num, change);
  }

  /** The snapshot's entry has other statistics now. What later snapshots removed of it stays removed. */
  #moveAddition(target: WriteTarget, stored: KnownFile, fileNum: number, change: ParsedChange): number {
    const { chain, ord } = target.ancestry[0] as Position;
    const rows = this.#setMember(target, stored.file_num, fileNum, change);
    this.#updateBranchRemovals.run(fileNum, chain, ord, stored.file_num);
    const isSameFile = stored.record_count === change.recordCount && stored.size_bytes === change.sizeBytes;
    if (isSameFile) this.#copySketches.run(fileNum, stored.file_num);
    if (this.#deleteOrphan.run(stored.file_num).changes > 0) {
      this.#deleteSketches.run(stored.file_num);
      this.#variants -= 1;
    }
    return rows;
  }

  #setMember(target: WriteTarget, from: number, to: number, change: ParsedChange): number {
    const { chain, ord } = target.ancestry[0] as Position;
    const { kind, recordCount, sizeBytes, sequenceNumber, fileSequenceNumber } = change;
    const numbers = [sequenceNumber, fileSequenceNumber, addedByOther(target, change)];
    return this.#updateMember.run(to, kind, recordCount, sizeBytes, ...numbers, chain, ord, from).changes;
  }
}
