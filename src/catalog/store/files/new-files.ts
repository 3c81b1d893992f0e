import type { Statement } from 'better-sqlite3';
import type { Database } from '../database/database.ts';
import { OPEN_END, type Position } from '../lineage/lineage.ts';
import { described, type ParsedChange } from './file-change-row.ts';
import { addedByOther, type WriteTarget } from './write-target.ts';

/** The statements of NewFiles. */
export interface NewFileStatements {
  insert: Statement;
  insertIfAbsent: Statement;
  insertMembers: Statement;
  anyVariant: Statement;
}

export function prepareNewFiles(sqlite: Database['sqlite']): NewFileStatements {
  const columns =
    'table_num, path_hash, variant, kind, record_count, size_bytes, spec_id, partition_key, referenced_path, body';
  return {
    insert: sqlite.prepare(
      `insert into files (${columns}) values (?, ?, 0, ?, ?, ?, ?, ?, ?, ?)
       on conflict (table_num, path_hash, variant) do nothing`,
    ),
    insertIfAbsent: sqlite.prepare(
      `insert into files (${columns}) select ?, ?, 0, ?, ?, ?, ?, ?, ?, ?
       where not exists (select 1 from files where table_num = ? and path_hash = ?)`,
    ),
    insertMembers: sqlite.prepare(
      `insert into memberships (chain_num, added_ord, file_num, removed_ord, kind, record_count, size_bytes, sequence_number,
         file_sequence_number, added_snapshot_id, entry_number)
       select ?, ?, file_num, ${OPEN_END}, kind, record_count, size_bytes, ?, ?, ?, ? + ? * (file_num - ?)
       from files where file_num between ? and ?`,
    ),
    anyVariant: sqlite.prepare('select 1 from files where table_num = ? and variant > 0 limit 1'),
  };
}

/** Files whose numbers follow one another. Their memberships differ in the file and, by the same step, in the entry number. */
interface FileRun {
  first: number;
  last: number;
  like: ParsedChange;
  /** Undefined for a single file. */
  entryStep: number | undefined;
  lastEntry: number;
}

/**
 * Adds files whose paths the table does not have yet, as nearly all are: one statement per file, and one for all memberships of a run. Most snapshots
 * are one run per transaction.
 */
export class NewFiles {
  readonly #statements: NewFileStatements;
  readonly #target: WriteTarget;
  /** Whether a path that the table has may be without a row of variant 0, since that was deleted after another variant was added. */
  #hasVariants: boolean;
  #run: FileRun | undefined;
  /** Files that were added. */
  count = 0;

  constructor(statements: NewFileStatements, target: WriteTarget) {
    this.#statements = statements;
    this.#target = target;
    this.#hasVariants = !target.isEmpty && statements.anyVariant.get(target.tableNum) !== undefined;
  }

  /** Adds a file, whose membership is written by `flush`. @returns false, with nothing done, if the table has the path */
  add(change: ParsedChange): boolean {
    const added = this.#hasVariants ? this.#insertIfAbsent(change) : this.#insert(change);
    if (added.changes === 0) {
      // What is done with such a path may make a variant.
      this.#hasVariants = true;
      return false;
    }
    this.count += 1;
    this.#extend(Number(added.lastInsertRowid), change);
    return true;
  }

  #insert({ pathHash, kind, recordCount, sizeBytes, specId, partitionKey, referencedPath, body }: ParsedChange) {
    const { tableNum } = this.#target;
    const { insert } = this.#statements;
    return insert.run(tableNum, pathHash, kind, recordCount, sizeBytes, specId, partitionKey, referencedPath, body);
  }

  #insertIfAbsent(change: ParsedChange) {
    const { tableNum } = this.#target;
    const { pathHash } = change;
    return this.#statements.insertIfAbsent.run(tableNum, pathHash, ...described(change), tableNum, pathHash);
  }

  #extend(fileNum: number, change: ParsedChange): void {
    const run = this.#run;
    if (run && run.last + 1 === fileNum && isLike(run.like, change)) {
      const step = change.entryNumber - run.lastEntry;
      if (run.entryStep === undefined || run.entryStep === step) {
        run.entryStep = step;
        run.last = fileNum;
        run.lastEntry = change.entryNumber;
        return;
      }
    }
    this.flush();
    this.#run = { first: fileNum, last: fileNum, like: change, entryStep: undefined, lastEntry: change.entryNumber };
  }

  /** Writes the memberships of the files that were added. Call it at the end, and before anything else reads or writes memberships. */
  flush(): void {
    const run = this.#run;
    if (!run) return;
    this.#run = undefined;
    const { chain, ord } = this.#target.ancestry[0] as Position;
    const { first, last, like, entryStep = 0 } = run;
    const { sequenceNumber, fileSequenceNumber, entryNumber } = like;
    this.#statements.insertMembers.run(
      chain,
      ord,
      sequenceNumber,
      fileSequenceNumber,
      addedByOther(this.#target, like),
      entryNumber,
      entryStep,
      first,
      first,
      last,
    );
  }
}

function isLike(one: ParsedChange, other: ParsedChange): boolean {
  return (
    one.sequenceNumber === other.sequenceNumber &&
    one.fileSequenceNumber === other.fileSequenceNumber &&
    one.addedSnapshotId === other.addedSnapshotId
  );
}
