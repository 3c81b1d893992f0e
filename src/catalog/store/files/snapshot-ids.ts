import type { Kysely } from 'kysely';
import type { Schema } from '../database/schema.ts';
import type { LiveFile } from './live-files.ts';

/** Ids of snapshots by position. A file that a snapshot added does not store the snapshot's id. */
export class SnapshotIds {
  readonly #db: Kysely<Schema>;
  readonly #ids = new Map<string, string>();

  constructor(db: Kysely<Schema>) {
    this.#db = db;
  }

  /** Loads the ids of the snapshots that added these files. */
  async load(files: readonly Pick<LiveFile, 'chain' | 'addedOrd' | 'addedSnapshotId'>[]): Promise<void> {
    const unknown = new Map<number, Set<number>>();
    for (const { chain, addedOrd, addedSnapshotId } of files) {
      if (addedSnapshotId !== null || this.#ids.has(`${chain}/${addedOrd}`)) continue;
      unknown.set(chain, (unknown.get(chain) ?? new Set()).add(addedOrd));
    }
    for (const [chain, ords] of unknown) {
      const rows = await this.#db
        .selectFrom('snapshots')
        .select(['snapshot_id', 'ord'])
        .where('chain_num', '=', chain)
        .where('ord', 'in', [...ords])
        .execute();
      const dropped = await this.#db
        .selectFrom('dropped_positions')
        .select(['snapshot_id', 'ord'])
        .where('chain_num', '=', chain)
        .where('ord', 'in', [...ords])
        .execute();
      for (const row of [...dropped, ...rows]) this.#ids.set(`${chain}/${row.ord}`, row.snapshot_id);
    }
  }

  idAt(chain: number, ord: number): string | undefined {
    return this.#ids.get(`${chain}/${ord}`);
  }
}
