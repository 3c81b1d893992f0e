import { randomUUID } from 'node:crypto';
import { existsSync, linkSync, mkdirSync, realpathSync, renameSync, rmSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { CodedError } from '../../../errors.ts';
import { lockDatabase } from '../database/database-lock.ts';
import { isLocked } from '../database/sqlite/result-codes.ts';
import { Sqlite } from '../database/sqlite.ts';
import { checkDatabase, type DatabaseSummary } from './check-database.ts';
import { type CopyOptions, copyDatabase, syncToDisk } from './copy-database.ts';
import { markRestored } from './mark-restored.ts';

export interface RestoreOptions extends CopyOptions {
  /** The backup. It is only read. */
  file: string;
  /** What the backup replaces. It need not exist. */
  databaseFile: string;
  /** Gives the restored catalog another id, so that it owns no schedule of the one that the backup was made of. */
  newIdentity: boolean;
  /** Called when everything is copied and the check of the copy begins. */
  onCheck?: () => void;
}

export interface Restored extends DatabaseSummary {
  /** Where the replaced database is now; undefined if there was none. */
  replaced?: string;
}

/**
 * Replaces a database by a backup, in one step: after a crash there is the old one or the new one. The old one is kept beside it.
 *
 * @throws CodedError FAILED_PRECONDITION if a service uses the database or the backup is none, NOT_FOUND if it does not exist, DATA_LOSS if
 *   it is damaged, and others as `databaseError` returns them. The database is then as it was.
 */
export async function restoreDatabase({ file, databaseFile, ...options }: RestoreOptions): Promise<Restored> {
  if (!existsSync(file)) throw new CodedError('NOT_FOUND', `backup ${file} does not exist`);
  mkdirSync(dirname(databaseFile), { recursive: true, mode: 0o700 });
  // A link stays: the file that it names is replaced.
  const target = existsSync(databaseFile) ? realpathSync(databaseFile) : databaseFile;
  if (realpathSync(file) === target) {
    throw new CodedError('INVALID_ARGUMENT', `${file} is the database itself: name a backup`);
  }
  const lock = await lockDatabase(databaseFile, { waitMs: 0 });
  const partial = `${target}.${randomUUID().slice(0, 8)}.partial`;
  try {
    // The backup may not change after its check, so a copy is checked.
    await copyDatabase(file, partial, options);
    options.onCheck?.();
    const summary = checkDatabase(partial, file);
    const catalogId = await markRestored(partial, { file, newIdentity: options.newIdentity });
    options.signal?.throwIfAborted();
    syncToDisk(partial);
    const replaced = existsSync(target) ? setAside(target) : undefined;
    renameSync(partial, target);
    syncToDisk(dirname(target));
    return { ...summary, catalogId, replaced };
  } finally {
    for (const suffix of ['', '-wal', '-shm', '-journal']) rmSync(partial + suffix, { force: true });
    lock.release();
  }
}

/**
 * Gives the database a second name beside its own, so that it is kept when another file takes its place, and removes its write-ahead log,
 * which SQLite would otherwise apply to that file.
 *
 * @returns the second name
 */
function setAside(target: string): string {
  emptyLog(target);
  const kept = `${target}.replaced-${new Date().toISOString().replace(/[-:]/g, '')}`;
  // Only a damaged database has one now: its log belongs to it.
  if (existsSync(`${target}-wal`)) renameSync(`${target}-wal`, `${kept}-wal`);
  rmSync(`${target}-shm`, { force: true });
  linkSync(target, kept);
  syncToDisk(dirname(target));
  return kept;
}

/** Moves the write-ahead log into the database; closing the last connection removes it. */
function emptyLog(target: string): void {
  try {
    const sqlite = new Sqlite(target, { timeout: 0 });
    try {
      sqlite.pragma('wal_checkpoint(truncate)');
    } finally {
      sqlite.close();
    }
  } catch (error) {
    if (isLocked(error)) throw isOpen(target);
    // A database that cannot be opened any more is kept as it is.
    return;
  }
  if (existsSync(`${target}-wal`) && statSync(`${target}-wal`).size > 0) throw isOpen(target);
}

function isOpen(target: string): CodedError {
  return new CodedError('FAILED_PRECONDITION', `database ${target} is open in another process: close it first`);
}
