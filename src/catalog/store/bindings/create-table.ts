import type { Statement } from 'better-sqlite3';
import type { Insertable } from 'kysely';
import type { Claim } from '../../../contract/claim.ts';
import type { Database } from '../database/database.ts';
import type { BindingRow, SnapshotRow, TableRow } from '../database/schema.ts';
import { NEW_TABLE_COLUMNS } from '../database/sqlite/new-tables.ts';

/** A table that a connector has read, with its first snapshot. */
export interface NewTableRows {
  table: Omit<Insertable<TableRow>, 'table_num' | 'catalog_id'>;
  binding: Omit<Insertable<BindingRow>, 'object_id' | 'tenant_id'>;
  /** A version of its schema. */
  version: { version_id: number; version_json: string } | undefined;
  snapshot: Omit<Insertable<SnapshotRow>, 'table_num' | 'chain_num' | 'ord'>;
}

const creators = new WeakMap<Database['sqlite'], TableCreator>();

/** Creates tables with their first snapshots in two statements; like FileWriter, it bypasses Kysely. */
export class TableCreator {
  readonly #insertTable: Statement;
  readonly #sqlite: Database['sqlite'];
  #insertSnapshot: Statement | undefined;

  static of({ sqlite }: Pick<Database, 'sqlite'>): TableCreator {
    let creator = creators.get(sqlite);
    if (!creator) {
      creator = new TableCreator(sqlite);
      creators.set(sqlite, creator);
    }
    return creator;
  }

  private constructor(sqlite: Database['sqlite']) {
    this.#sqlite = sqlite;
    const values = NEW_TABLE_COLUMNS.map((column) => (column === 'catalog_id' ? 'n.catalog_id' : `@${column}`));
    this.#insertTable = sqlite.prepare(
      `insert into new_tables (${NEW_TABLE_COLUMNS.join(', ')}) select ${values.join(', ')} from namespaces n
       where n.namespace_id = @namespace_id and n.tenant_id = @tenant_id
         and exists (select 1 from connectors where connector_id = @connector_id and tenant_id = @tenant_id)
         and (@claim_connector_id is null or exists (
           select 1 from connectors where connector_id = @claim_connector_id and tenant_id = @tenant_id and running_job_id <> '' and claim_epoch = @claim_epoch
             and claim_run_id = @claim_run_id))
         and not exists (select 1 from tables where table_id = @table_id)
         and not exists (select 1 from object_names where namespace_id = @namespace_id and name = @name)
         and not exists (select 1 from bindings where connector_id = @connector_id and kind = @kind
           and upstream_path_key = @upstream_path_key and upstream_name = @upstream_name)`,
    );
  }

  /**
   * Creates the table if its namespace and connector exist, the claim is held, its name is free, and nothing is bound to its upstream name. Call
   * it inside a transaction, without an await, and roll that back if the result is undefined.
   *
   * @returns the numbers of the new rows; undefined if the table cannot be created so
   */
  create({ table, binding, version, snapshot }: NewTableRows, claim: Claim | undefined) {
    this.#insertTable.run({
      ...table,
      ...binding,
      ...(version ?? { version_id: null, version_json: null }),
      claim_connector_id: claim?.connectorId ?? null,
      claim_epoch: claim?.epoch ?? null,
      claim_run_id: claim?.runId ?? null,
    });
    this.#insertSnapshot ??= this.#prepareSnapshot(Object.keys(snapshot));
    // The etag shows that the table is the one that was just inserted.
    const row = this.#insertSnapshot.get({ ...snapshot, new_table_id: table.table_id, new_etag: table.etag });
    return row as { table_num: number; chain_num: number } | undefined;
  }

  #prepareSnapshot(columns: readonly string[]): Statement {
    return this.#sqlite.prepare(
      `insert into snapshots (table_num, chain_num, ord, ${columns.join(', ')})
       select t.table_num, c.chain_num, 1, ${columns.map((column) => `@${column}`).join(', ')}
       from tables t join chains c on c.table_num = t.table_num
       where t.table_id = @new_table_id and t.etag = @new_etag
       returning table_num, chain_num`,
    );
  }
}
