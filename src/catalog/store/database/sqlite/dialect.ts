import { setTimeout as sleep } from 'node:timers/promises';
import {
  CompiledQuery,
  type DatabaseConnection,
  type QueryResult,
  SqliteAdapter,
  SqliteDialect,
  type SqliteDialectConfig,
  SqliteDriver,
} from 'kysely';
import type { DatabaseHealth } from './health.ts';
import { isLocked } from './result-codes.ts';

/** How long a call waits for another process's lock. Callers retry UNAVAILABLE, so a longer lock delays them without failing a job. */
const MAX_WAIT_MS = 5_000;
const RETRY_MS = 10;

/**
 * Kysely's SQLite, with three differences:
 *
 * - A transaction begins with `begin immediate`. SQLite never waits for the lock of a transaction that has read before it writes
 *   (https://sqlite.org/rescode.html#busy), and every transaction of the store writes.
 * - If another process has locked the database, calls wait without blocking the event loop, up to five seconds. SQLite's own
 *   busy handler sleeps in the only thread that serves calls.
 * - Migrations run in one transaction. Kysely leaves this off because of pragmas that do not work in transactions
 *   (kysely-org/kysely#56); a migration here must not contain any.
 */
export class StoreDialect extends SqliteDialect {
  readonly #config: SqliteDialectConfig;
  readonly #health: DatabaseHealth;

  constructor(config: SqliteDialectConfig, health: DatabaseHealth) {
    super(config);
    this.#config = config;
    this.#health = health;
  }

  override createAdapter(): SqliteAdapter {
    return new StoreAdapter();
  }

  override createDriver(): SqliteDriver {
    return new StoreDriver(this.#config, this.#health);
  }
}

class StoreAdapter extends SqliteAdapter {
  override get supportsTransactionalDdl(): boolean {
    return true;
  }
}

const BEGIN = CompiledQuery.raw('begin immediate');

/** SQLite has one connection here; each call uses it in turn. */
class StoreDriver extends SqliteDriver {
  readonly #health: DatabaseHealth;
  /** Ends with the last call that waits for a lock. These calls try one after another, so that their number costs nothing. */
  #waiting: Promise<void> = Promise.resolve();

  constructor(config: SqliteDialectConfig, health: DatabaseHealth) {
    super(config);
    this.#health = health;
  }

  override async acquireConnection(): Promise<DatabaseConnection> {
    const requestedAt = performance.now();
    const connection = await super.acquireConnection();
    return new StoreConnection(connection, this.#health, (attempt) => this.#retry(requestedAt, attempt));
  }

  override async beginTransaction(connection: DatabaseConnection): Promise<void> {
    await connection.executeQuery(BEGIN);
    (connection as StoreConnection).inTransaction = true;
  }

  /** Repeats an attempt until the database is not locked. Other calls use the connection meanwhile: a lock on writing does not stop reads. */
  async #retry<T>(requestedAt: number, attempt: () => Promise<T>): Promise<T> {
    await super.releaseConnection();
    const before = this.#waiting;
    let end = () => {};
    this.#waiting = new Promise((resolve) => {
      end = resolve;
    });
    await before;
    try {
      for (;;) {
        await super.acquireConnection();
        try {
          return await attempt();
        } catch (error) {
          // Kysely releases the connection of a call that fails.
          if (!isLocked(error) || performance.now() - requestedAt > MAX_WAIT_MS) throw error;
        }
        await super.releaseConnection();
        await sleep(RETRY_MS);
      }
    } finally {
      end();
    }
  }
}

/** The connection while one call has it. */
class StoreConnection implements DatabaseConnection {
  /** Within a transaction, a statement cannot be repeated on its own. */
  inTransaction = false;
  readonly #connection: DatabaseConnection;
  readonly #health: DatabaseHealth;
  readonly #retry: <T>(attempt: () => Promise<T>) => Promise<T>;

  constructor(
    connection: DatabaseConnection,
    health: DatabaseHealth,
    retry: <T>(attempt: () => Promise<T>) => Promise<T>,
  ) {
    this.#connection = connection;
    this.#health = health;
    this.#retry = retry;
  }

  async executeQuery<R>(query: CompiledQuery): Promise<QueryResult<R>> {
    try {
      return await this.#attempt<R>(query);
    } catch (error) {
      if (this.inTransaction || !isLocked(error)) throw this.#health.explain(error);
    }
    try {
      return await this.#retry(() => this.#attempt<R>(query));
    } catch (error) {
      throw this.#health.explain(error);
    }
  }

  /** Checks each time whether the database may be written to, since that may change while a call waits. */
  async #attempt<R>(query: CompiledQuery): Promise<QueryResult<R>> {
    const writes = query === BEGIN || WRITES.has(query.query.kind);
    if (!this.inTransaction && writes) this.#health.requireWritable();
    return this.#connection.executeQuery<R>(query);
  }

  streamQuery<R>(query: CompiledQuery, chunkSize?: number): AsyncIterableIterator<QueryResult<R>> {
    return this.#connection.streamQuery<R>(query, chunkSize);
  }
}

const WRITES: ReadonlySet<string> = new Set(['InsertQueryNode', 'UpdateQueryNode', 'DeleteQueryNode']);
