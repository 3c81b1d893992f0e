import type BetterSqlite from 'better-sqlite3';
import { Kysely, sql } from 'kysely';
import { CodedError } from '../../../errors.ts';
import { Checkpointer } from './checkpointer.ts';
import { migrate } from './migrate.ts';
import { setPlannerStatistics } from './planner-statistics.ts';
import type { Schema } from './schema.ts';
import type { Scoped } from './scoped.ts';
import { StoreDialect } from './sqlite/dialect.ts';
import { DatabaseHealth } from './sqlite/health.ts';
import { defineNewTables } from './sqlite/new-tables.ts';
import { makePrivate, realFile } from './sqlite/private-files.ts';
import { isDamaged } from './sqlite/result-codes.ts';
import { Sqlite } from './sqlite.ts';
import { write } from './transaction.ts';

/** The database: Kysely for all queries, and the plain connection for writing files in bulk (see file-writer.ts). */
export interface Database {
  readonly db: Kysely<Schema>;
  /** Use it only inside a Kysely transaction and without an await: there is only one connection. */
  readonly sqlite: BetterSqlite.Database;
  readonly health: DatabaseHealth;
  /** @throws CodedError DATA_LOSS if the file is damaged, deleted or replaced; any other error if the database cannot be read */
  ping(): Promise<void>;
  close(): Promise<void>;
}

/** The database for the work of one tenant. */
export interface TenantDatabase extends Pick<Database, 'sqlite'> {
  readonly db: Scoped;
}

/** Prepared statements that are kept. `in (…)` lists of various lengths produce many; common statements stay cached. */
const MAX_STATEMENTS = 500;

/**
 * Opens the database, creates it if it does not exist, and migrates it to the version of this code.
 *
 * @param file a path, or `:memory:`
 * @throws CodedError UNAVAILABLE if the file cannot be opened, DATA_LOSS if it is damaged, FAILED_PRECONDITION if a newer version wrote
 *   it or it is not a database
 */
export async function openDatabase(file: string): Promise<Database> {
  const health = new DatabaseHealth(file);
  const sqlite = openSqlite(file, health);
  const db = new Kysely<Schema>({ dialect: new StoreDialect({ database: withStatementCache(sqlite) }, health) });
  try {
    await migrate(db as never, file);
    await write(db, async () => setPlannerStatistics(sqlite));
    defineNewTables(sqlite);
  } catch (error) {
    await db.destroy();
    throw health.explain(error);
  }
  health.opened();
  const checkpointer =
    file === ':memory:'
      ? undefined
      : new Checkpointer(realFile(file), health.inode, (error) => void health.explain(error));
  return {
    db,
    sqlite,
    health,
    async ping() {
      const problem = health.checkFile();
      if (problem) throw problem;
      await sql`select 1 from sqlite_schema`.execute(db);
    },
    async close() {
      await checkpointer?.stop();
      await db.destroy();
    },
  };
}

function openSqlite(file: string, health: DatabaseHealth): BetterSqlite.Database {
  let sqlite: BetterSqlite.Database | undefined;
  try {
    const path = file === ':memory:' ? file : realFile(file);
    sqlite = new Sqlite(path);
    if (path !== ':memory:') for (const suffix of ['', '-wal', '-shm']) makePrivate(path + suffix);
    // Rows of files take about 1 KiB, so larger pages waste less space. This only affects a new database.
    sqlite.pragma('page_size = 8192');
    sqlite.pragma('journal_mode = WAL');
    // In WAL mode a power failure may lose the last transactions but cannot corrupt the database; jobs repeat what is missing.
    sqlite.pragma('synchronous = NORMAL');
    sqlite.pragma('foreign_keys = ON');
    // From here on calls wait asynchronously: see dialect.ts.
    sqlite.pragma('busy_timeout = 0');
    sqlite.pragma('cache_size = -65536');
    sqlite.pragma('wal_autocheckpoint = 16000');
    return sqlite;
  } catch (cause) {
    sqlite?.close();
    const isForeign = (cause as { code?: string }).code === 'SQLITE_NOTADB';
    if (isDamaged(cause) && !isForeign) throw health.explain(cause);
    const code = isForeign ? 'FAILED_PRECONDITION' : 'UNAVAILABLE';
    throw new CodedError(code, `database ${file} cannot be opened: ${(cause as Error).message}`, { cause });
  }
}

/** Kysely prepares a statement for every query; the cache returns the one that was prepared before. */
function withStatementCache(sqlite: BetterSqlite.Database) {
  const statements = new Map<string, BetterSqlite.Statement>();
  return {
    prepare(sql: string): BetterSqlite.Statement {
      // SQLite itself rolls back when the disk is full (https://sqlite.org/lang_transaction.html, section 3). Kysely's own
      // rollback would then fail and hide the cause.
      if (sql === 'rollback' && !sqlite.inTransaction) return sqlite.prepare('select 1 where 0');
      const known = statements.get(sql);
      if (known) {
        // Move it to the end of the map, so that the first entry is the least recently used.
        statements.delete(sql);
        statements.set(sql, known);
        return known;
      }
      const statement = sqlite.prepare(sql);
      statements.set(sql, statement);
      if (statements.size > MAX_STATEMENTS) statements.delete(statements.keys().next().value as string);
      return statement;
    },
    close: () => sqlite.close(),
  };
}
