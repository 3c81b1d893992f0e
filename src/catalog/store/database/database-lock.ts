import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type BetterSqlite from 'better-sqlite3';
import { CodedError } from '../../../errors.ts';
import { Sqlite } from './sqlite.ts';

/** Longer than the ten seconds that a stopping service grants its running calls: its successor may start meanwhile. */
const WAIT_MS = 20_000;
const RETRY_MS = 200;

/**
 * Makes this process the only one that serves the database until it releases the lock or ends. The lock is SQLite's lock on an
 * empty file beside the database; the kernel releases it if the process dies. SQLite itself would let two processes write in
 * turn, but the state that a service keeps in memory, and resets at its start, is only correct in a single process.
 *
 * @param options.waitMs how long another holder may take to release the lock
 * @param options.onWait called once if there is another holder
 * @throws CodedError FAILED_PRECONDITION if the lock is not released in time, UNAVAILABLE if its file cannot be opened
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
        `database ${file} is served by another catalog service on this machine: use that service, stop it, or pass another --database`,
      );
    }
    if (attempt === 1) onWait?.();
    await sleep(RETRY_MS);
  }
}

/** @returns undefined if another process holds the lock */
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
