import type { Kysely } from 'kysely';
import type { Schema } from '../database/schema.ts';
import { deleteTable } from '../tables/tables.ts';
import { deleteView } from '../tables/views.ts';

type Db = Kysely<Schema>;

/** Objects a transaction: some milliseconds, between which other calls go on. */
const STEP = 200;

/** Deletes some of what a connector brought in. @returns how many; none when all are gone */
export async function deleteSomeContents(db: Db, connectorId: string): Promise<{ tables: number; views: number }> {
  const tables = await someTables(db, connectorId).select(['table_id', 'table_num']).execute();
  for (const { table_id, table_num } of tables) await deleteTable(db, table_id, table_num);
  const views = await someViews(db, connectorId).select('view_id').execute();
  for (const { view_id } of views) await deleteView(db, view_id);
  return { tables: tables.length, views: views.length };
}

/** Binds some of what a connector brought in to nobody. @returns how many; none when all are */
export async function releaseSomeContents(db: Db, connectorId: string): Promise<number> {
  const unbound = { connector_id: null };
  const tables = someTables(db, connectorId).select('table_id');
  const released = await db.updateTable('tables').set(unbound).where('table_id', 'in', tables).executeTakeFirst();
  const views = someViews(db, connectorId).select('view_id');
  const more = await db.updateTable('views').set(unbound).where('view_id', 'in', views).executeTakeFirst();
  return Number(released.numUpdatedRows + more.numUpdatedRows);
}

function someTables(db: Db, connectorId: string) {
  return db.selectFrom('tables').where('connector_id', '=', connectorId).limit(STEP);
}

function someViews(db: Db, connectorId: string) {
  return db.selectFrom('views').where('connector_id', '=', connectorId).limit(STEP);
}
