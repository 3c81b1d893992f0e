import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type BetterSqlite from 'better-sqlite3';
import { CodedError } from '../../../errors.ts';
import { Sqlite } from './sqlite.ts';

/** A service that stops lets its calls end for ten seconds, during which its successor may have started. */
const WAIT_MS = 20_000;
const RETRY_MS = 200;

/**
 * Makes this process the only one that serves the database, until it releases the lock or ends in any way: it holds SQLite's lock of an empty
 * file beside the database, which the kernel releases with the process. SQLite itself would let two processes write in turn, but what a
 * service keeps in memory, and clears when it starts, is only correct if it is the only one.
 *
 * @param options.waitMs how long another holder may take to release it
 * @param options.onWait called once if there is another holder
 * @throws CodedError FAILED_PRECONDITION if it is not released in time
 */
export async function lockDatabase(
  file: string,
  { waitMs = WAIT_MS, onWait }: { waitMs?: number; onWait?: () => void } = {},
): Promise<{ release(): void }> {
  if (file === ':memory:') return { release() {} };
  const deadline = Date.now() + waitMs;
  for (let attempt = 1; ; attempt++) {
    const lock = tryLock(file);
    if (lock) return { release: () => void lock.close() };
    if (Date.now() >= deadline) {
      throw new CodedError(
        'FAILED_PRECONDITION',
        `database ${file} is served by another catalog service on this machine. Use that one, stop it, or name another --database.`,
      );
    }
    if (attempt === 1) onWait?.();
    await sleep(RETRY_MS);
  }
}

/** Undefined if another process holds it. */
function tryLock(file: string): BetterSqlite.Database | undefined {
  let sqlite: BetterSqlite.Database | undefined;
  try {
    mkdirSync(dirname(file), { recursive: true });
    sqlite = new Sqlite(`${file}.lock`, { timeout: 0 });
    sqlite.exec('begin exclusive');
    return sqlite;
  } catch (cause) {
    sqlite?.close();
    if ((cause as { code?: string }).code === 'SQLITE_BUSY') return undefined;
    throw new CodedError('UNAVAILABLE', `database ${file} cannot be opened: ${(cause as Error).message}`, { cause });
  }
}
