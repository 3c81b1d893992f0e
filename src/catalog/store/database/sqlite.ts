import { createRequire } from 'node:module';
import type BetterSqlite from 'better-sqlite3';
import { CodedError } from '../../../errors.ts';

/**
 * The version of better-sqlite3 that runs on this Node: version 13 needs Node-API 10 (Node 22.14), and version 12 aborts on Node
 * 24.19 and newer as soon as a statement is garbage-collected (WiseLibs/better-sqlite3#1515).
 */
const name = Number(process.versions.napi) >= 10 ? 'better-sqlite3-13' : 'better-sqlite3';
const require = createRequire(import.meta.url);

/** The package's entry point, for code that cannot import modules of this project (see checkpointer.ts). */
export const sqlitePath: string = find();
export const Sqlite: typeof BetterSqlite = require(name);

/** npm leaves an optional package out if it cannot be installed. */
function find(): string {
  try {
    return require.resolve(name);
  } catch (cause) {
    throw new CodedError(
      'FAILED_PRECONDITION',
      `SQLite for Node ${process.versions.node} is not installed: npm could neither download the binary of better-sqlite3 nor compile it. ` +
        'Install a C++ compiler, make and Python 3, and run `npm ci`; Node 22.14 or newer needs none of them.',
      { cause },
    );
  }
}
