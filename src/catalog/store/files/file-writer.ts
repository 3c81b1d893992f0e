import type { Statement } from 'better-sqlite3';
import { DataFile } from '../../../generated/reconciler/v1/statistics.ts';
import type { Database } from '../database/database.ts';
import { OPEN_END, type Position } from '../lineage/lineage.ts';
import type { ParsedChange } from './file-change-row.ts';

/** What a call has changed. */
export interface Written {
  rows: number;
  /** Number of stored files that had other statistics. */
  updatedFiles: number;
  /** Whether one of these files had another kind, record count or size. */
  countsChanged: boolean;
}

/** The snapshot to which changes are written. */
export interface WriteTarget {
  tableNum: number;
  snapshotId: string;
  /** See `ancestryOf`. */
  ancestry: readonly Position[];
}

interface KnownFile {
  file_num: number;
  kind: number;
  record_count: number;
  size_bytes: number;
  body: Buffer;
}

const writers = new WeakMap<Database['sqlite'], FileWriter>();

/**
 * Writes file changes in bulk.
 *
 * Only this class bypasses Kysely: at some ten thousand files per second, one promise and one compiled query per row cost more
 * than the rows themselves. The statements are plain SQL; on Postgres, one COPY per chunk would replace them.
 */
export class FileWriter {
  readonly #insertFile: Statement;
  readonly #findFile: Statement;
  readonly #updateFile: Statement;
  readonly #updateMembers: Statement;
  readonly #findFileNum: Statement;
  readonly #insertMember: Statement;
  readonly #removeHere: Statement;
  readonly #membersElsewhere: Statement;
  readonly #branchRemovalsOfFile: Statement;
  readonly #insertBranchRemoval: Statement;

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
    this.#insertFile = sqlite.prepare(
      `insert into files (table_num, path_hash, kind, record_count, size_bytes, spec_id, partition_key, referenced_path, body)
       values (?, ?, ?, ?, ?, ?, ?, ?, ?)
       on conflict (table_num, path_hash) do nothing`,
    );
    this.#findFile = sqlite.prepare(
      'select file_num, kind, record_count, size_bytes, body from files where table_num = ? and path_hash = ?',
    );
    this.#updateFile = sqlite.prepare(
      `update files set kind = ?, record_count = ?, size_bytes = ?, spec_id = ?, partition_key = ?, referenced_path = ?, body = ?
       where file_num = ?`,
    );
    this.#updateMembers = sqlite.prepare(
      'update memberships set kind = ?, record_count = ?, size_bytes = ? where file_num = ?',
    );
    this.#findFileNum = sqlite.prepare('select file_num from files where table_num = ? and path_hash = ?').pluck();
    this.#insertMember = sqlite.prepare(
      `insert into memberships (chain_num, added_ord, file_num, removed_ord, kind, record_count, size_bytes, sequence_number,
         file_sequence_number, added_snapshot_id)
       values (?, ?, ?, ${OPEN_END}, ?, ?, ?, ?, ?, ?)
       on conflict (chain_num, added_ord, file_num) do update set sequence_number = excluded.sequence_number,
         file_sequence_number = excluded.file_sequence_number, added_snapshot_id = excluded.added_snapshot_id
       where memberships.sequence_number <> excluded.sequence_number
         or memberships.file_sequence_number <> excluded.file_sequence_number
         or coalesce(memberships.added_snapshot_id, '') <> coalesce(excluded.added_snapshot_id, '')`,
    );
    this.#removeHere = sqlite.prepare(
      `update memberships set removed_ord = ?
       where file_num = ? and chain_num = ? and added_ord < ? and removed_ord > ?`,
    );
    this.#membersElsewhere = sqlite.prepare(
      'select chain_num, added_ord, removed_ord from memberships where file_num = ? and chain_num <> ?',
    );
    this.#branchRemovalsOfFile = sqlite.prepare(
      'select chain_num, ord, from_chain_num, added_ord from branch_removals where file_num = ?',
    );
    this.#insertBranchRemoval = sqlite.prepare(
      `insert into branch_removals (chain_num, ord, file_num, from_chain_num, added_ord) values (?, ?, ?, ?, ?)
       on conflict (chain_num, ord, file_num, from_chain_num, added_ord) do nothing`,
    );
  }

  /**
   * Upserts changes. Call it inside a transaction, without an await.
   *
   * A file that is added while it is already live counts twice, as in the engines. A file that is removed and added in the same
   * snapshot stays live, whatever the order. Removing a file that is not live changes nothing.
   */
  write(target: WriteTarget, changes: readonly ParsedChange[]): Written {
    const written: Written = { rows: 0, updatedFiles: 0, countsChanged: false };
    for (const change of changes) {
      if (change.added) this.add(target, change, written);
      else written.rows += this.remove(target, change);
    }
    return written;
  }

  add(target: WriteTarget, change: ParsedChange, written: Written): void {
    const fileNum = this.#putFile(target.tableNum, change, written);
    written.rows += this.#addMember(target, fileNum, change);
  }

  #addMember(target: WriteTarget, fileNum: number, change: ParsedChange): number {
    const { chain, ord } = target.ancestry[0] as Position;
    const addedBy = change.addedSnapshotId;
    return this.#insertMember.run(
      chain,
      ord,
      fileNum,
      change.kind,
      change.recordCount,
      change.sizeBytes,
      change.sequenceNumber,
      change.fileSequenceNumber,
      addedBy === '' || addedBy === target.snapshotId ? null : addedBy,
    ).changes;
  }

  #putFile(tableNum: number, change: ParsedChange, written: Written): number {
    const { pathHash, kind, recordCount, sizeBytes, specId, partitionKey, referencedPath, body } = change;
    const inserted = this.#insertFile.run(
      tableNum,
      pathHash,
      kind,
      recordCount,
      sizeBytes,
      specId,
      partitionKey,
      referencedPath,
      body,
    );
    if (inserted.changes === 1) {
      written.rows += 1;
      return Number(inserted.lastInsertRowid);
    }
    const known = this.#findFile.get(tableNum, pathHash) as KnownFile;
    // All other columns are derived from the body.
    if (known.body.equals(body) || lacksRowId(body, known.body)) return known.file_num;
    this.#updateFile.run(kind, recordCount, sizeBytes, specId, partitionKey, referencedPath, body, known.file_num);
    written.rows += 1;
    written.updatedFiles += 1;
    if (known.kind !== kind || known.record_count !== recordCount || known.size_bytes !== sizeBytes) {
      this.#updateMembers.run(kind, recordCount, sizeBytes, known.file_num);
      written.countsChanged = true;
    }
    return known.file_num;
  }

  /** @returns rows written */
  remove(target: WriteTarget, change: ParsedChange): number {
    const fileNum = this.#findFileNum.get(target.tableNum, change.pathHash) as number | undefined;
    if (fileNum === undefined) return 0;
    const { chain, ord } = target.ancestry[0] as Position;
    let rows = this.#removeHere.run(ord, fileNum, chain, ord, ord).changes;
    if (target.ancestry.length === 1) return rows;
    for (const member of this.#liveInAncestors(target.ancestry, fileNum)) {
      rows += this.#insertBranchRemoval.run(chain, ord, fileNum, member.chain, member.addedOrd).changes;
    }
    return rows;
  }

  /** The additions of the file in ancestor chains that are live at the snapshot's base. */
  #liveInAncestors(ancestry: readonly Position[], fileNum: number): { chain: number; addedOrd: number }[] {
    const own = ancestry[0] as Position;
    const limits = new Map(ancestry.slice(1).map(({ chain, ord }) => [chain, ord]));
    const members = this.#membersElsewhere.all(fileNum, own.chain) as {
      chain_num: number;
      added_ord: number;
      removed_ord: number;
    }[];
    const live = members.filter(({ chain_num, added_ord, removed_ord }) => {
      const limit = limits.get(chain_num);
      return limit !== undefined && added_ord <= limit && removed_ord > limit;
    });
    if (live.length === 0) return [];
    limits.set(own.chain, own.ord - 1);
    const removals = (
      this.#branchRemovalsOfFile.all(fileNum) as {
        chain_num: number;
        ord: number;
        from_chain_num: number;
        added_ord: number;
      }[]
    ).filter(({ chain_num, ord }) => ord <= (limits.get(chain_num) ?? 0));
    return live
      .filter(
        (member) => !removals.some((r) => r.from_chain_num === member.chain_num && r.added_ord === member.added_ord),
      )
      .map((member) => ({ chain: member.chain_num, addedOrd: member.added_ord }));
  }
}

/**
 * Whether a file's message differs from the stored one only in that it lacks a first row id. It then belongs to a snapshot from
 * before the table's upgrade to format version 3, at which the file got its id (Iceberg spec, "Row Lineage for Upgraded Tables").
 */
function lacksRowId(body: Uint8Array, known: Uint8Array): boolean {
  const [file, knownFile] = [DataFile.decode(body), DataFile.decode(known)];
  if (file.firstRowId !== undefined || knownFile.firstRowId === undefined) return false;
  const without = DataFile.encode({ ...knownFile, firstRowId: undefined }).finish();
  return Buffer.compare(DataFile.encode(file).finish(), without) === 0;
}
