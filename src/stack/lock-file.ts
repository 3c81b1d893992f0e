import { linkSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** A lock by file, held by one process at a time and only while that process is there. */
export interface LockFile {
  release(): void;
}

/**
 * Takes the lock, or gives the pid of the live process that has it. A dead process's lock is taken over.
 *
 * The file is a hard link to one that already holds the pid, so that nobody ever sees a lock without its owner.
 */
export function tryLock(file: string): LockFile | { owner: number } {
  mkdirSync(dirname(file), { recursive: true });
  const mine = `${file}.${process.pid}.${Math.random().toString(36).slice(2)}`;
  writeFileSync(mine, `${process.pid} ${startTimeOf(process.pid)}`);
  try {
    for (;;) {
      try {
        linkSync(mine, file);
        return { release: () => rmSync(file, { force: true }) };
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      }
      const owner = readOwner(file);
      if (owner && holdsLock(owner)) return { owner: owner.pid };
      if (owner) removeStaleLock(file);
    }
  } finally {
    rmSync(mine, { force: true });
  }
}

/** Runs `action` under the lock; waits while another process has it. */
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

/** True while the process is there, whoever owns it. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/**
 * When a process started, in the kernel's ticks since boot; empty where /proc does not tell. Keeps a pid that was given
 * again, as in a container that starts anew on the same volume, from being taken for the lock's owner.
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

/** Undefined where there is no lock; pid 0 where it names no process. */
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

/** Removes a dead owner's lock, and only that: another process may have taken it over a moment ago. */
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
      // Somebody else has it by now.
    }
  }
  rmSync(aside, { force: true });
}
