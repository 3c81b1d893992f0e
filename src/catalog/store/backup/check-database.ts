import { statSync } from 'node:fs';
import type BetterSqlite from 'better-sqlite3';
import { CodedError } from '../../../errors.ts';
import { MIGRATIONS } from '../database/migrate.ts';
import { Sqlite } from '../database/sqlite.ts';
import { databaseError } from './database-error.ts';

/** What a database contains. */
export interface DatabaseSummary {
  catalogId: string;
  sizeBytes: number;
  tables: number;
  views: number;
  connectors: number;
  jobs: number;
}

/**
 * Checks that a file is an undamaged database of a catalog, written by this version or an older one. Reads the whole file.
 *
 * @param name the file as the person knows it, for messages
 * @throws CodedError FAILED_PRECONDITION if it is another kind of file or a newer version wrote it, DATA_LOSS if it is damaged
 */
export function checkDatabase(file: string, name = file): DatabaseSummary {
  let sqlite: BetterSqlite.Database | undefined;
  try {
    sqlite = new Sqlite(file, { readonly: true, fileMustExist: true });
    requireCatalog(sqlite, name);
    requireIntact(sqlite, name);
    const one = <T>(sql: string) => sqlite?.prepare(sql).pluck().get() as T;
    const count = (table: string) => one<number>(`select count(*) from ${table}`);
    return {
      catalogId: one<string>('select catalog_id from service'),
      sizeBytes: statSync(file).size,
      tables: count('tables'),
      views: count('views'),
      connectors: count('connectors'),
      jobs: count('jobs'),
    };
  } catch (error) {
    throw databaseError(name, error);
  } finally {
    sqlite?.close();
  }
}

function requireCatalog(sqlite: BetterSqlite.Database, name: string): void {
  const tables = sqlite.prepare("select name from sqlite_schema where type = 'table'").pluck().all();
  if (!['kysely_migration', 'service', 'connectors'].every((table) => tables.includes(table))) {
    throw new CodedError(
      'FAILED_PRECONDITION',
      `${name} is not the database of a catalog service: ${tables.length === 0 ? 'it is empty' : 'it has other tables'}`,
    );
  }
  const applied = sqlite.prepare('select name from kysely_migration').pluck().all() as string[];
  const unknown = applied.filter((migration) => !(migration in MIGRATIONS));
  if (unknown.length === 0) return;
  throw new CodedError(
    'FAILED_PRECONDITION',
    `${name} was written by a newer version of the catalog service (unknown migrations: ${unknown.join(', ')}): use that version`,
  );
}

function requireIntact(sqlite: BetterSqlite.Database, name: string): void {
  const [problem] = sqlite.pragma('quick_check(1)') as { quick_check: string }[];
  if (problem?.quick_check !== 'ok') {
    throw new CodedError('DATA_LOSS', `${name} is damaged: ${problem?.quick_check}`);
  }
  const [orphan] = sqlite.pragma('foreign_key_check') as { table: string; parent: string }[];
  if (orphan) {
    const { table, parent } = orphan;
    throw new CodedError(
      'DATA_LOSS',
      `${name} is damaged: a row of ${table} refers to a row of ${parent} that does not exist`,
    );
  }
}
