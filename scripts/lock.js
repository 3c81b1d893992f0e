import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

/** Pauses between attempts to take the lock. */
const POLL_MS = 200;

/** Whether the process exists, whichever user owns it. */
function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === 'EPERM';
  }
}

function ownerOf(file) {
  try {
    return Number(readFileSync(file, 'utf8'));
  } catch {
    return undefined;
  }
}

/**
 * Runs `action` while no other process runs one under the same lock file. Waits while the lock's owner is alive, and takes over the lock
 * of a dead process.
 *
 * The lock is a hard link to a file that already contains the pid, so that no process ever sees a lock without its owner.
 *
 * @param onWait called with the owner's pid when a wait begins; returns what to call when it ends
 */
export async function withLock(file, action, onWait) {
  const candidate = `${file}.${process.pid}`;
  let waited;
  writeFileSync(candidate, String(process.pid));
  try {
    for (;;) {
      try {
        linkSync(candidate, file);
        break;
      } catch (error) {
        if (error.code !== 'EEXIST') throw error;
      }
      const owner = ownerOf(file);
      if (owner !== undefined && !(owner > 0 && isAlive(owner))) {
        removeStaleLock(file, owner);
        continue;
      }
      if (owner !== undefined) waited ??= onWait?.(owner);
      await sleep(POLL_MS);
    }
    waited?.();
    try {
      return await action();
    } finally {
      rmSync(file, { force: true });
    }
  } finally {
    rmSync(candidate, { force: true });
  }
}

/** Removes the lock of a dead owner. Puts the file back if another process has just taken the lock over. */
function removeStaleLock(file, deadOwner) {
  const aside = `${file}.stale.${process.pid}`;
  try {
    renameSync(file, aside);
  } catch {
    return;
  }
  if (ownerOf(aside) !== deadOwner) {
    try {
      linkSync(aside, file);
    } catch {
      // Another process has taken the lock in the meantime.
    }
  }
  rmSync(aside, { force: true });
}
