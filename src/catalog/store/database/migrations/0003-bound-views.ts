import { type Kysely, type Migration, sql } from 'kysely';

const STATEMENTS = [
  'alter table views add column connector_id text',
  'alter table views add column upstream_path_key text',
  'alter table views add column upstream_name text',
  `alter table views add column upstream_uuid text not null default ''`,
  `alter table views add column fingerprint text not null default ''`,
  'alter table views add column fetched_at bigint',
  'alter table views add column missing_since bigint',
  'create unique index views_upstream on views (connector_id, upstream_path_key, upstream_name)',
];

/** As path-key.ts had it: what is stored must not follow its changes. */
const pathKey = (path: readonly string[]) => path.map((segment) => `${segment}\u001f`).join('');

interface Before {
  views: { view_id: string; body: string; upstream_path_key: string; upstream_name: string; upstream_uuid: string };
}

/** What a view was brought from gets columns of its own, as a table has them, and jobs count views. */
export const migration: Migration = {
  async up(db: Kysely<never>): Promise<void> {
    for (const statement of STATEMENTS) await sql.raw(statement).execute(db);
    // Until now no connector brought in views. An upstream that a client wrote into the body is kept, and binds nothing.
    const views = db as unknown as Kysely<Before>;
    for (const { view_id, body } of await views.selectFrom('views').select(['view_id', 'body']).execute()) {
      const { upstream, ...rest } = JSON.parse(body);
      if (upstream === undefined) continue;
      await views
        .updateTable('views')
        .set({ body: JSON.stringify(rest) })
        .$if(Boolean(upstream.tableName), (query) =>
          query.set({
            upstream_path_key: pathKey(upstream.namespacePath ?? []),
            upstream_name: upstream.tableName,
            upstream_uuid: upstream.uuid ?? '',
          }),
        )
        .where('view_id', '=', view_id)
        .execute();
    }
  },
};
