import { closeSync, fsyncSync, openSync } from 'node:fs';
import { Sqlite } from '../database/sqlite.ts';
import { databaseError } from './database-error.ts';

/** 8 MiB of the default page size: a step takes some milliseconds, so that progress is shown and a signal is noticed. */
const PAGES_PER_STEP = 1024;

export interface CopyOptions {
  /** Called after each step with the part that is copied, from 0 to 1. */
  onProgress?: (part: number) => void;
  signal?: AbortSignal;
}

/**
 * Copies a database that may be in use, with what its write-ahead log contains, to one self-contained file of mode 0600 that must not exist.
 * What is written meanwhile is not in the copy, and does not disturb it.
 *
 * @throws CodedError as `databaseError` returns it
 */
export async function copyDatabase(from: string, to: string, { onProgress, signal }: CopyOptions = {}): Promise<void> {
  closeSync(openSync(to, 'wx', 0o600));
  let source: InstanceType<typeof Sqlite> | undefined;
  let copy: InstanceType<typeof Sqlite> | undefined;
  try {
    source = new Sqlite(from, { readonly: true, fileMustExist: true });
    // SQLite starts a backup again from the first page whenever another process has written to the database, which never ends while a job
    // runs. Within a read transaction it copies the state at the transaction's begin (https://sqlite.org/c3ref/backup_finish.html).
    source.exec('begin');
    source.prepare('select count(*) from sqlite_schema').get();
    await source.backup(to, {
      progress({ totalPages, remainingPages }) {
        signal?.throwIfAborted();
        onProgress?.(1 - remainingPages / totalPages);
        return PAGES_PER_STEP;
      },
    });
    copy = new Sqlite(to);
    // A file of the WAL mode cannot be opened in a folder that may not be written to.
    copy.pragma('journal_mode = delete');
  } catch (error) {
    signal?.throwIfAborted();
    throw databaseError(from, error);
  } finally {
    copy?.close();
    source?.close();
  }
  syncToDisk(to);
}

/** Waits until a file, or the entries of a folder, are on the disk. */
export function syncToDisk(path: string): void {
  const handle = openSync(path, 'r');
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}
