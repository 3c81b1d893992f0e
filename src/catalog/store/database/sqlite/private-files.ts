import { chmodSync, lstatSync, mkdirSync, readlinkSync, realpathSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';

/** The path of a file that may not exist yet, without symbolic links. Creates its folder, which only this user can enter. */
export function realFile(file: string): string {
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  if (lstatSync(file, { throwIfNoEntry: false })?.isSymbolicLink()) {
    return realFile(resolve(realpathSync(dirname(file)), readlinkSync(file)));
  }
  return join(realpathSync(dirname(file)), basename(file));
}

/**
 * Lets only this user read and write a file, whatever the umask was when it was created. SQLite gives the mode of a database to the
 * files that it creates beside it. Does nothing if the file does not exist or belongs to another user.
 */
export function makePrivate(file: string): void {
  try {
    chmodSync(file, 0o600);
  } catch (error) {
    if (!/^(ENOENT|EPERM)$/.test((error as NodeJS.ErrnoException).code ?? '')) throw error;
  }
}
