import { readFileSync, statSync } from 'node:fs';
import { Sqlite as Database } from '../src/catalog/store/database/sqlite.ts';

/** What was written to a SQLite database in WAL mode, observed from outside of the process. */
export interface DatabaseWrites {
  transactions: number;
  /** Number of page writes by the name of the table or index. */
  pages: Record<string, number>;
}

/** Moves the content of the write-ahead log to the database file, so that the log contains only later writes. */
export function emptyLog(file: string): void {
  const db = new Database(file);
  db.pragma('busy_timeout = 5000');
  db.pragma('wal_checkpoint(TRUNCATE)');
  db.close();
}

/**
 * Counts the writes since `emptyLog` by the frames of the write-ahead log (SQLite's file format, section 4). Each frame is one page of one
 * table or index; the last frame of a transaction contains the size of the database. The count is correct below 1,000 pages, after which
 * SQLite restarts the log.
 */
export function writesSince(file: string): DatabaseWrites {
  const log = statSync(`${file}-wal`, { throwIfNoEntry: false })?.size ? readFileSync(`${file}-wal`) : Buffer.alloc(0);
  const writes: DatabaseWrites = { transactions: 0, pages: {} };
  if (log.length < 32) return writes;
  const pageSize = log.readUInt32BE(8);
  const salt = log.subarray(16, 24);
  const written = new Map<number, number>();
  for (let at = 32; at + 24 + pageSize <= log.length; at += 24 + pageSize) {
    if (!log.subarray(at + 8, at + 16).equals(salt)) break;
    const page = log.readUInt32BE(at);
    written.set(page, (written.get(page) ?? 0) + 1);
    if (log.readUInt32BE(at + 4) !== 0) writes.transactions++;
  }
  for (const [page, name] of pageOwners(file, [...written.keys()])) {
    writes.pages[name] = (writes.pages[name] ?? 0) + written.get(page)!;
  }
  return writes;
}

function pageOwners(file: string, pages: number[]): [number, string][] {
  const db = new Database(file, { readonly: true });
  try {
    const rows = db
      .prepare('SELECT pageno, name FROM dbstat WHERE pageno IN (SELECT value FROM json_each(?))')
      .all(JSON.stringify(pages)) as { pageno: number; name: string }[];
    return rows.map((row) => [row.pageno, row.name]);
  } finally {
    db.close();
  }
}
