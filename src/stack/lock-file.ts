import { linkSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** A lock that one process at a time holds, and only while that process is alive. */
export interface LockFile {
  release(): void;
}

/**
 * Acquires the lock, taking over that of a dead process.
 *
 * The lock is a hard link to a file that already contains the pid, so that no process ever sees a lock without its owner.
 *
 * @returns the lock, or the pid of the live process that holds it
 */
export function tryLock(file: string): LockFile | { owner: number } {
  mkdirSync(dirname(file), { recursive: true });
  const candidate = `${file}.${process.pid}.${Math.random().toString(36).slice(2)}`;
  writeFileSync(candidate, `${process.pid} ${startTimeOf(process.pid)}`);
  try {
    for (;;) {
      try {
        linkSync(candidate, file);
        return { release: () => rmSync(file, { force: true }) };
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      }
      const owner = readOwner(file);
      if (owner && holdsLock(owner)) return { owner: owner.pid };
      if (owner) removeStaleLock(file);
    }
  } finally {
    rmSync(candidate, { force: true });
  }
}

/** Runs `action` under the lock; waits while another process holds it. */
export async function withLock<T>(file: string, action: () => Promise<T>): Promise<T> {
  for (;;) {
    const lock = tryLock(file);
    if ('owner' in lock) {
      await sleep(100);
      continue;
    }
    try {
      return await action();
    } finally {
      lock.release();
    }
  }
}

/** Whether the process exists, whichever user owns it. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/**
 * When a process started, in the kernel's clock ticks since boot; empty on systems without /proc. Without it, a process that reuses the
 * pid, as in a container restarted on the same volume, would be taken for the lock's owner.
 */
function startTimeOf(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // Field 22 of proc(5); field 2 is a name that may hold spaces and parentheses.
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '';
  } catch {
    return '';
  }
}

/** @returns undefined if there is no lock; pid 0 if the lock names no process */
function readOwner(file: string): { pid: number; start: string } | undefined {
  try {
    const [pid, start] = readFileSync(file, 'utf8').split(' ');
    return { pid: Number.parseInt(pid ?? '', 10) || 0, start: start ?? '' };
  } catch {
    return undefined;
  }
}

function holdsLock(owner: { pid: number; start: string }): boolean {
  return owner.pid > 0 && isAlive(owner.pid) && (owner.start === '' || owner.start === startTimeOf(owner.pid));
}

/** Removes the lock of a dead owner. Puts the file back if another process has just taken the lock over. */
function removeStaleLock(file: string): void {
  const aside = `${file}.stale.${process.pid}`;
  try {
    renameSync(file, aside);
  } catch {
    return;
  }
  const owner = readOwner(aside);
  if (owner && holdsLock(owner)) {
    try {
      linkSync(aside, file);
    } catch {
      // Another process has taken the lock in the meantime.
    }
  }
  rmSync(aside, { force: true });
}
