import { statSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type BetterSqlite from 'better-sqlite3';
import { CodedError } from '../../../errors.ts';
import { inodeOf } from './sqlite/health.ts';
import { makePrivate, realFile } from './sqlite/private-files.ts';
import { Sqlite } from './sqlite.ts';

/** Longer than the ten seconds that a stopping service grants its running calls: its successor may start meanwhile. */
const WAIT_MS = 20_000;
const RETRY_MS = 200;
/** A service notices within a second or two that its lock file was deleted, and stops writing. */
const NOTICE_MS = 3_000;

export interface DatabaseLock {
  /** False if the lock file was deleted or replaced, so that another process can lock the database too. */
  isHeld(): boolean;
  release(): void;
}

/**
 * Makes this process the only one that serves the database until it releases the lock or ends. The lock is SQLite's lock on an
 * empty file beside the database; the kernel releases it if the process dies. SQLite itself would let two processes write in
 * turn, but the state that a service keeps in memory, and resets at its start, is only correct in a single process.
 *
 * All paths that lead to the database through symbolic links have the same lock. The holder must check `isHeld` each second.
 *
 * @param options.waitMs how long another holder may take to release the lock
 * @param options.onWait called once if there is another holder
 * @throws CodedError FAILED_PRECONDITION if the lock is not released in time, UNAVAILABLE if its file cannot be opened
 */
export async function lockDatabase(
  file: string,
  { waitMs = WAIT_MS, onWait }: { waitMs?: number; onWait?: () => void } = {},
): Promise<DatabaseLock> {
  if (file === ':memory:') return { isHeld: () => true, release() {} };
  const deadline = Date.now() + waitMs;
  for (let attempt = 1; ; attempt++) {
    const lock = tryLock(file);
    if (lock?.isNew) await sleep(NOTICE_MS);
    if (lock) return lock;
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

/** @returns undefined if another process holds the lock; `isNew` if the database exists, but had no lock file */
function tryLock(file: string): (DatabaseLock & { isNew: boolean }) | undefined {
  let sqlite: BetterSqlite.Database | undefined;
  try {
    const path = realFile(file);
    const lockFile = `${path}.lock`;
    const bytes = statSync(path, { throwIfNoEntry: false })?.size ?? 0;
    const isNew = bytes > 0 && inodeOf(lockFile) === undefined;
    const lock = new Sqlite(lockFile, { timeout: 0 });
    sqlite = lock;
    makePrivate(lockFile);
    lock.exec('begin exclusive');
    const inode = inodeOf(lockFile);
    return { isNew, isHeld: () => inodeOf(lockFile) === inode, release: () => void lock.close() };
  } catch (cause) {
    sqlite?.close();
    if ((cause as { code?: string }).code === 'SQLITE_BUSY') return undefined;
    throw new CodedError('UNAVAILABLE', `database ${file} cannot be opened: ${(cause as Error).message}`, { cause });
  }
}
