import { createRequire } from 'node:module';
import type BetterSqlite from 'better-sqlite3';

/**
 * The version of better-sqlite3 that runs on this Node: version 13 needs Node-API 10 (Node 22.14), and version 12 aborts on Node
 * 24.19 and newer as soon as a statement is garbage-collected (WiseLibs/better-sqlite3#1515).
 */
const name = Number(process.versions.napi) >= 10 ? 'better-sqlite3-13' : 'better-sqlite3';
const require = createRequire(import.meta.url);

/** The package's entry point, for code that cannot import modules of this project (see checkpointer.ts). */
export const sqlitePath: string = require.resolve(name);
export const Sqlite: typeof BetterSqlite = require(name);
