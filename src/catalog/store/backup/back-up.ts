import { randomUUID } from 'node:crypto';
import { existsSync, realpathSync, renameSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { CodedError } from '../../../errors.ts';
import { checkDatabase, type DatabaseSummary } from './check-database.ts';
import { type CopyOptions, copyDatabase, syncToDisk } from './copy-database.ts';

export interface BackUpOptions extends CopyOptions {
  databaseFile: string;
  /** The backup. Readers see nothing, or an older backup, until the new one is complete and checked. */
  file: string;
  /** Replace a file that exists. */
  overwrite: boolean;
  /** Called when everything is copied and the check of the copy begins. */
  onCheck?: () => void;
}

/**
 * Writes a backup of a database, whether a service uses it or not, and checks it.
 *
 * @returns what the backup contains
 * @throws CodedError NOT_FOUND if the database does not exist, ALREADY_EXISTS if the file does, DATA_LOSS if the database is damaged, and
 *   others as `databaseError` returns them
 */
export async function backUp({
  databaseFile,
  file,
  overwrite,
  onCheck,
  ...copying
}: BackUpOptions): Promise<DatabaseSummary> {
  if (!existsSync(databaseFile)) {
    throw new CodedError('NOT_FOUND', `database ${databaseFile} does not exist: name the catalog's with --database`);
  }
  const folder = dirname(file);
  if (!existsSync(folder)) throw new CodedError('NOT_FOUND', `folder ${folder} does not exist`);
  if (existsSync(file)) {
    if (realpathSync(file) === realpathSync(databaseFile)) {
      throw new CodedError('INVALID_ARGUMENT', `${file} is the database itself: name another file`);
    }
    if (existsSync(`${file}-wal`)) {
      throw new CodedError(
        'FAILED_PRECONDITION',
        `${file} is a database in use, since ${file}-wal exists: name another file`,
      );
    }
    if (!overwrite) throw new CodedError('ALREADY_EXISTS', `${file} exists: add --force to replace it`);
  }
  const partial = `${file}.${randomUUID().slice(0, 8)}.partial`;
  try {
    await copyDatabase(databaseFile, partial, copying);
    onCheck?.();
    const summary = checkDatabase(partial, `the copy of ${databaseFile}`);
    renameSync(partial, file);
    syncToDisk(folder);
    return summary;
  } finally {
    rmSync(partial, { force: true });
  }
}
