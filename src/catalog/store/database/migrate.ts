import { type Kysely, type Migration, Migrator } from 'kysely';
import { CodedError } from '../../../errors.ts';
import { migration as first } from './migrations/0001-first.ts';
import { migration as fileSketches } from './migrations/0002-file-sketches.ts';
import { migration as boundViews } from './migrations/0003-bound-views.ts';
import { migration as upstreamRequests } from './migrations/0004-upstream-requests.ts';
import { migration as operations } from './migrations/0005-operations.ts';
import { migration as coverage } from './migrations/0006-coverage.ts';
import { migration as droppedPlaces } from './migrations/0007-dropped-places.ts';
import { migration as stagedGroups } from './migrations/0008-staged-groups.ts';
import { migration as deletions } from './migrations/0010-deletions.ts';
import { migration as alerts } from './migrations/0011-alerts.ts';
import { migration as changeDestinations } from './migrations/0012-change-destinations.ts';
import { migration as replacementChanges } from './migrations/0013-replacement-changes.ts';

/** In the order in which they are applied. One that has been released is never changed. */
const MIGRATIONS: Record<string, Migration> = {
  '0001-first': first,
  '0002-file-sketches': fileSketches,
  '0003-bound-views': boundViews,
  '0004-upstream-requests': upstreamRequests,
  '0005-operations': operations,
  '0006-coverage': coverage,
  '0007-dropped-places': droppedPlaces,
  '0008-staged-groups': stagedGroups,
  '0010-deletions': deletions,
  '0011-alerts': alerts,
  '0012-change-destinations': changeDestinations,
  '0013-replacement-changes': replacementChanges,
};

/**
 * Brings the database to this code's version.
 *
 * @throws CodedError FAILED_PRECONDITION where a newer version of the code has written it.
 */
export async function migrate(db: Kysely<never>, file: string): Promise<void> {
  const unknown = (await appliedMigrations(db)).filter((name) => !(name in MIGRATIONS));
  if (unknown.length > 0) {
    throw new CodedError(
      'FAILED_PRECONDITION',
      `database ${file} was written by a newer version of the catalog service (it has ${unknown.join(', ')}): ` +
        'start that version, or give another database file',
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
