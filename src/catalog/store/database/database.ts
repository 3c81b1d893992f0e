import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import type BetterSqlite from 'better-sqlite3';
import { Kysely, SqliteDialect, sql } from 'kysely';
import { CodedError } from '../../../errors.ts';
import { Checkpointer } from './checkpointer.ts';
import { migrate } from './migrate.ts';
import { setPlannerStatistics } from './planner-statistics.ts';
import type { Schema } from './schema.ts';
import { Sqlite } from './sqlite.ts';

/** The database: Kysely for all queries, and the plain connection for the one path that writes files in bulk. */
export interface Database {
  readonly db: Kysely<Schema>;
  /** Use it only inside a Kysely transaction, and without an await: there is one connection. */
  readonly sqlite: BetterSqlite.Database;
  /** Fails if the database does not answer. */
  ping(): Promise<void>;
  close(): Promise<void>;
}

/** How many prepared statements are kept. Lists of parameters produce many; the common ones stay in use. */
const MAX_STATEMENTS = 500;

/**
 * Opens the database, creates it if it does not exist, and migrates it to this version.
 *
 * @param file a path, or `:memory:`
 * @throws CodedError UNAVAILABLE if it cannot be opened, FAILED_PRECONDITION if it is newer than the code or is no database
 */
export async function openDatabase(file: string): Promise<Database> {
  const sqlite = openSqlite(file);
  const db = new Kysely<Schema>({ dialect: new SqliteDialect({ database: withStatementCache(sqlite) }) });
  try {
    await migrate(db as never, file);
    setPlannerStatistics(sqlite);
  } catch (error) {
    await db.destroy();
    throw error;
  }
  const checkpointer = file === ':memory:' ? undefined : new Checkpointer(file);
  return {
    db,
    sqlite,
    async ping() {
      await sql`select 1`.execute(db);
    },
    async close() {
      await checkpointer?.stop();
      await db.destroy();
    },
  };
}

function openSqlite(file: string): BetterSqlite.Database {
  let sqlite: BetterSqlite.Database | undefined;
  try {
    if (file !== ':memory:') mkdirSync(dirname(file), { recursive: true });
    sqlite = new Sqlite(file);
    // File bodies are about 1 KiB: larger pages waste less. It only affects a new database.
    sqlite.pragma('page_size = 8192');
    sqlite.pragma('journal_mode = WAL');
    // In WAL mode a power failure may lose the last transactions, never the database; jobs repeat what is missing.
    sqlite.pragma('synchronous = NORMAL');
    sqlite.pragma('foreign_keys = ON');
    sqlite.pragma('busy_timeout = 5000');
    sqlite.pragma('cache_size = -65536');
    sqlite.pragma('wal_autocheckpoint = 16000');
    return sqlite;
  } catch (cause) {
    sqlite?.close();
    const code = (cause as { code?: string }).code === 'SQLITE_NOTADB' ? 'FAILED_PRECONDITION' : 'UNAVAILABLE';
    throw new CodedError(code, `database ${file} cannot be opened: ${(cause as Error).message}`, { cause });
  }
}

/** Kysely prepares a statement for every query; this returns the one that was prepared before. */
function withStatementCache(sqlite: BetterSqlite.Database) {
  const statements = new Map<string, BetterSqlite.Statement>();
  return {
    prepare(sql: string): BetterSqlite.Statement {
      // SQLite itself rolls back when the disk is full (https://sqlite.org/lang_transaction.html, section 3). Kysely does not
      // know: its own rollback would fail and hide the cause.
      if (sql === 'rollback' && !sqlite.inTransaction) return sqlite.prepare('select 1 where 0');
      const known = statements.get(sql);
      if (known) {
        // To the end of the map: the first ones have been unused for longest.
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
