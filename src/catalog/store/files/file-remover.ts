import type { Statement } from 'better-sqlite3';
import type { Database } from '../database/database.ts';
import { DELETION_VECTOR } from '../database/file-kind.ts';
import type { Position } from '../lineage/lineage.ts';
import type { ParsedChange, VectorCondition } from './file-change-row.ts';
import type { WriteTarget } from './write-target.ts';

/** An addition of a file. */
interface Member {
  chain_num: number;
  added_ord: number;
  removed_ord: number;
  file_num: number;
  sequence_number: number;
  file_sequence_number: number;
  added_by: string | null;
}

type VectorMember = Member & { path_hash: Buffer };

interface BranchRemoval {
  chain_num: number;
  ord: number;
  from_chain_num: number;
  added_ord: number;
}

/** Removes files from snapshots: the part of FileWriter that ends what earlier snapshots added. */
export class FileRemover {
  readonly #members: Statement;
  readonly #vectors: Statement;
  readonly #removeHere: Statement;
  readonly #branchRemovalsOfFile: Statement;
  readonly #insertBranchRemoval: Statement;

  constructor(sqlite: Database['sqlite']) {
    // SQLite must begin with the files of the path: it joins in this order.
    this.#members = sqlite.prepare(
      `select m.chain_num, m.added_ord, m.removed_ord, m.file_num, m.sequence_number, m.file_sequence_number,
         coalesce(m.added_snapshot_id, s.snapshot_id, d.snapshot_id) as added_by
       from files f cross join memberships m on m.file_num = f.file_num
       left join snapshots s on s.chain_num = m.chain_num and s.ord = m.added_ord
       left join dropped_positions d on d.chain_num = m.chain_num and d.ord = m.added_ord
       where f.table_num = ? and f.path_hash = ?`,
    );
    this.#vectors = sqlite.prepare(
      `select f.path_hash, m.chain_num, m.added_ord, m.removed_ord, m.file_num
       from files f cross join memberships m on m.file_num = f.file_num
       where f.table_num = ? and f.referenced_path = ? and f.kind = ${DELETION_VECTOR}`,
    );
    this.#removeHere = sqlite.prepare(
      'update memberships set removed_ord = ? where chain_num = ? and added_ord = ? and file_num = ?',
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
   * Removes what is live of a file at the snapshot's base: all its additions, or those that the change names.
   *
   * @returns rows written
   */
  remove({ tableNum, ancestry }: WriteTarget, change: ParsedChange): number {
    const { chain, ord } = ancestry[0] as Position;
    const base = baseOf(ancestry);
    if (change.ifVector && !this.#hasVector(tableNum, change.ifVector, base)) return 0;
    let rows = 0;
    for (const member of this.#members.all(tableNum, change.pathHash) as Member[]) {
      if (!isNamed(member, change) || !this.#isLive(member, base)) continue;
      if (member.chain_num === chain) {
        if (member.removed_ord === ord) continue;
        rows += this.#removeHere.run(ord, chain, member.added_ord, member.file_num).changes;
      } else {
        const { file_num, chain_num, added_ord } = member;
        rows += this.#insertBranchRemoval.run(chain, ord, file_num, chain_num, added_ord).changes;
      }
    }
    return rows;
  }

  #hasVector(tableNum: number, { pathHash, dataPath }: VectorCondition, base: Base): boolean {
    const vectors = this.#vectors.all(tableNum, dataPath) as VectorMember[];
    const live = vectors.filter((vector) => this.#isLive(vector, base));
    return pathHash === null ? live.length === 0 : live.some((vector) => vector.path_hash.equals(pathHash));
  }

  /** Whether an addition is live at the base; the snapshot itself may have removed it already. */
  #isLive(member: Member, { chain, limits }: Base): boolean {
    const limit = limits.get(member.chain_num) ?? 0;
    if (member.added_ord > limit || member.removed_ord <= limit) return false;
    return member.chain_num === chain || !this.#isRemovedInBranch(member, limits);
  }

  #isRemovedInBranch({ file_num, chain_num, added_ord }: Member, limits: ReadonlyMap<number, number>): boolean {
    return (this.#branchRemovalsOfFile.all(file_num) as BranchRemoval[]).some(
      (removal) =>
        removal.from_chain_num === chain_num &&
        removal.added_ord === added_ord &&
        removal.ord <= (limits.get(removal.chain_num) ?? 0),
    );
  }
}

/** A snapshot's base. */
interface Base {
  /** The snapshot's own chain. */
  chain: number;
  /** By chain, the newest position of the base. */
  limits: ReadonlyMap<number, number>;
}

function baseOf(ancestry: readonly Position[]): Base {
  const { chain, ord } = ancestry[0] as Position;
  const limits = new Map(ancestry.slice(1).map((position) => [position.chain, position.ord]));
  return { chain, limits: limits.set(chain, ord - 1) };
}

/** Whether a removal removes this addition: if it names none, it removes all. */
export function isNamed(
  member: Pick<Member, 'sequence_number' | 'file_sequence_number' | 'added_by'>,
  { addedSnapshotId, sequenceNumber, fileSequenceNumber }: ParsedChange,
): boolean {
  return (
    addedSnapshotId === '' ||
    (member.added_by === addedSnapshotId &&
      member.sequence_number === sequenceNumber &&
      member.file_sequence_number === fileSequenceNumber)
  );
}
