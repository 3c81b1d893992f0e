import { type Kysely, type Migration, Migrator } from 'kysely';
import { CodedError } from '../../../errors.ts';
import { migration as first } from './migrations/0001-first.ts';

/** All migrations, in the order in which they are applied. A released migration is never changed. */
export const MIGRATIONS: Record<string, Migration> = {
  '0001-first': first,
};

/**
 * Migrates the database to the version of this code.
 *
 * @throws CodedError FAILED_PRECONDITION if a newer version of the code wrote the database
 */
export async function migrate(db: Kysely<never>, file: string): Promise<void> {
  const unknown = (await appliedMigrations(db)).filter((name) => !(name in MIGRATIONS));
  if (unknown.length > 0) {
    throw new CodedError(
      'FAILED_PRECONDITION',
      `database ${file} was written by a newer version of the catalog service (unknown migrations: ${unknown.join(', ')}): ` +
        'start that version, or pass another database file',
    );
  }
  const migrator = new Migrator({ db, provider: { getMigrations: async () => MIGRATIONS } });
  const { error } = await migrator.migrateToLatest();
  if (error !== undefined) throw error;
}

async function appliedMigrations(db: Kysely<never>): Promise<string[]> {
  const tables = await db.introspection.getTables({ withInternalKyselyTables: true });
  if (!tables.some((table) => table.name === 'kysely_migration')) return [];
  const any = db as unknown as Kysely<{ kysely_migration: { name: string } }>;
  return (await any.selectFrom('kysely_migration').select('name').execute()).map((row) => row.name);
}
