import { createRequire } from 'node:module';
import type BetterSqlite from 'better-sqlite3';

/**
 * better-sqlite3 as this Node can run it: version 13 needs Node-API 10 (Node 22.14), and version 12 aborts on Node 24.19 and newer as soon as
 * a statement is collected (WiseLibs/better-sqlite3#1515).
 */
const name = Number(process.versions.napi) >= 10 ? 'better-sqlite3-13' : 'better-sqlite3';
const require = createRequire(import.meta.url);

/** The package's entry point, for code that runs without modules of this project. */
export const sqlitePath: string = require.resolve(name);
export const Sqlite: typeof BetterSqlite = require(name);
