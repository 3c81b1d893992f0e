import type { Scoped } from '../database/scoped.ts';

type Db = Scoped;

/** The restore of the database since which no job has verified all tables of the connector, in milliseconds since 1970. */
export async function unverifiedSinceOf(db: Db, connectorId: string): Promise<number | undefined> {
  const query = db
    .selectFrom('connectors')
    .select('unverified_since')
    .where('tenant_id', '=', db.tenant)
    .where('connector_id', '=', connectorId);
  return (await query.executeTakeFirst())?.unverified_since ?? undefined;
}

/** A job has verified all tables of the connector. @param since the restore of which it knew: there may have been another one */
export async function markVerified(db: Db, connectorId: string, since: number): Promise<void> {
  await db
    .updateTable('connectors')
    .set({ unverified_since: null })
    .where('tenant_id', '=', db.tenant)
    .where('connector_id', '=', connectorId)
    .where('unverified_since', '=', since)
    .execute();
}
