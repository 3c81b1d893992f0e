import { rmSync } from 'node:fs';
import type { Database, Statement } from 'better-sqlite3';
import { currentCall } from '../../../src/catalog/identity/current-call.ts';
import { defineNewTables } from '../../../src/catalog/store/database/sqlite/new-tables.ts';
import { Sqlite } from '../../../src/catalog/store/database/sqlite.ts';

/** A statement that was executed, with its parameters. */
export interface Executed {
  sql: string;
  parameters: unknown[];
}

type Method = (this: { source: string }, ...parameters: unknown[]) => unknown;

/** Records the statements of calls: the catalog does other work beside them. @returns what ends the recording */
export function recordExecuted(): () => Executed[] {
  const database = new Sqlite(':memory:');
  const prototype = Object.getPrototypeOf(database.prepare('select 1')) as Record<string, Method>;
  database.close();
  const executed: Executed[] = [];
  const originals = ['run', 'get', 'all', 'iterate'].map((name) => [name, prototype[name] as Method] as const);
  for (const [name, original] of originals) {
    prototype[name] = function record(...parameters) {
      const [first] = parameters;
      if (currentCall() !== undefined)
        executed.push({
          sql: this.source,
          parameters: parameters.length === 1 && Array.isArray(first) ? first : parameters,
        });
      return original.apply(this, parameters);
    };
  }
  return () => {
    for (const [name, original] of originals) prototype[name] = original;
    return executed;
  };
}

/** The tables whose rows have a tenant. */
export function tenantTables(database: Database): string[] {
  const rows = database
    .prepare(`select m.name from sqlite_schema m join pragma_table_info(m.name) c on c.name = 'tenant_id'
      where m.type = 'table' and m.name <> 'tenants' order by m.name`)
    .all() as { name: string }[];
  return rows.map(({ name }) => name);
}

/** A copy of the database at a moment. @param without the tenant whose rows are removed from it */
function copyOf(file: string, copy: string, without?: string): Database {
  const source = new Sqlite(file, { readonly: true });
  source.exec(`vacuum into '${copy}'`);
  source.close();
  const database = new Sqlite(copy);
  database.pragma('foreign_keys = off');
  defineNewTables(database);
  if (without !== undefined) {
    for (const table of tenantTables(database))
      database.prepare(`delete from ${table} where tenant_id = ?`).run(without);
    for (const { table, key, owners } of OWNED)
      database.prepare(`delete from ${table} where ${key} not in (select ${key} from ${owners})`).run();
  }
  return database;
}

const CONDITION = /(?:"?\w+"?\.)?"?tenant_id"? = (\?|@tenant_id|"\w+"\."tenant_id")/g;
/**
 * Tables whose rows have no tenant, but belong to a row that does, with the key by which it is found. What is found by a key of the tenant must not
 * reach other rows, so these conditions are dropped as well.
 */
const OWNED = [
  { table: 'missing_counts', key: 'connector_id', owners: 'connectors' },
  { table: 'tokens', key: 'token_id', owners: 'token_tenants' },
];
const IS_TRANSACTION = /^(begin|commit|rollback|savepoint|release)/i;

/** How many conditions of tenants a statement has. */
const conditionsIn = (sql: string): number => [...sql.matchAll(CONDITION)].length;

/** The statement without one of its conditions; its parameters stay. */
function without(sql: string, index: number): string {
  let n = -1;
  return sql.replace(CONDITION, (condition, value: string) => {
    n += 1;
    if (n !== index) return condition;
    return value.startsWith('"') ? '1 = 1' : `${value} is not null`;
  });
}

/** What a statement returns or changes, as text. */
function effectOf(database: Database, { sql, parameters }: Executed): string {
  try {
    const statement: Statement = database.prepare(sql);
    const before = total(database);
    const rows = statement.reader ? statement.all(...parameters) : [];
    if (!statement.reader) statement.run(...parameters);
    const text = JSON.stringify([rows, total(database) - before], (_, value) =>
      typeof value === 'bigint' ? `${value}n` : value,
    );
    // Numbers of rows depend on how many others there are.
    return text.replace(/"(\w+_num)":\d+/g, '"$1"');
  } catch (error) {
    return `fails: ${(error as Error).message}`;
  }
}

/** Rows changed so far, also by triggers. */
const total = (database: Database) => database.prepare('select total_changes()').pluck().get() as number;

/** The effect that a statement has, without leaving it. */
function trial(database: Database, executed: Executed): string {
  database.exec('savepoint trial');
  const effect = effectOf(database, executed);
  database.exec('rollback to trial; release trial');
  return effect;
}

/**
 * Checks what a tenant's statements can reach of another tenant. The statements of a call are repeated, each in a copy of the database with both tenants and
 * in one with only the tenant in whose name they are repeated: the caller's, and then the other one. A statement that names its tenant finds and changes the
 * same in both. One without a condition that it needs does not: so the check also shows of each condition whether it is needed.
 */
export class Replay {
  readonly #folder: string;
  readonly #tenant: string;
  readonly #other: string;
  /** The database with all tenants, and without one of them: for the statements in the name of the other tenant, and as they are. */
  #copies: { all: Database; part: Database; renames: boolean }[] = [];
  #count = 0;
  /** The conditions that the statements have, and whether the check has failed without them. */
  readonly conditions = new Map<string, boolean>();

  constructor(folder: string, tenant: string, other: string) {
    this.#folder = folder;
    this.#tenant = tenant;
    this.#other = other;
  }

  /** Keeps the database as it is before a call. */
  before(file: string): void {
    this.#count += 1;
    const name = (what: string) => `${this.#folder}/${this.#count}-${what}`;
    this.#copies = [
      { all: copyOf(file, name('a')), part: copyOf(file, name('b'), this.#tenant), renames: true },
      { all: copyOf(file, name('c')), part: copyOf(file, name('d'), this.#other), renames: false },
    ];
  }

  /** @returns the statements of the call that reach what is not the tenant's */
  after(executed: readonly Executed[]): string[] {
    const leaks = this.#copies.flatMap((copies) => this.#repeat(copies, executed));
    for (const { all, part } of this.#copies)
      for (const database of [all, part]) {
        database.close();
        rmSync(database.name);
      }
    return leaks;
  }

  #repeat({ all, part, renames }: { all: Database; part: Database; renames: boolean }, executed: readonly Executed[]) {
    const concerns = new RegExp(`(from|join|update|into) "?(${tenantTables(all).join('|')})"?\\b`);
    const leaks: string[] = [];
    for (const { sql, parameters } of executed) {
      if (IS_TRANSACTION.test(sql) || /^pragma/i.test(sql)) continue;
      const statement = { sql, parameters: renames ? parameters.map((value) => this.#renamed(value)) : parameters };
      if (concerns.test(sql) && !isPlainInsert(sql)) {
        const expected = trial(part, statement);
        if (trial(all, statement) !== expected && !MAY_REACH_ALL.test(sql)) leaks.push(sql);
        for (let index = 0; index < conditionsIn(sql); index += 1) {
          const id = `${sql} [${index}]`;
          const fails = trial(all, { ...statement, sql: without(sql, index) }) !== expected;
          this.conditions.set(id, (this.conditions.get(id) ?? false) || fails);
        }
      }
      if (!renames) this.#dropKeys(all, part, statement);
      effectOf(part, statement);
      effectOf(all, statement);
    }
    return leaks;
  }

  /** Drops the conditions on the keys of what belongs to a tenant's row. */
  #dropKeys(all: Database, part: Database, { sql, parameters }: Executed): void {
    for (const { table, key } of OWNED) {
      if (!new RegExp(`(from|update) "${table}"`).test(sql)) continue;
      const changed = sql.replace(new RegExp(`(?:"${table}"\\.)?"${key}" = (\\?)`), '? is not null');
      if (changed === sql) continue;
      const id = `${sql} [${key}]`;
      const fails = trial(all, { sql: changed, parameters }) !== trial(part, { sql, parameters });
      this.conditions.set(id, (this.conditions.get(id) ?? false) || fails);
    }
  }

  #renamed(value: unknown): unknown {
    if (value === this.#tenant) return this.#other;
    if (typeof value !== 'object' || value === null || Buffer.isBuffer(value)) return value;
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, this.#renamed(item)]));
  }
}

/** Looks whether any tenant has a table with an id: ids are unique over all of them. */
const MAY_REACH_ALL = /^select "table_id" from "tables" where "table_id" = \?$/;

/** A statement that inserts what it is given. */
const isPlainInsert = (sql: string) => /^insert/i.test(sql) && !/\bselect\b/i.test(sql);
