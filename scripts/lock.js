import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';

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
 */
export function withLock(file, action) {
  const candidate = `${file}.${process.pid}`;
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
      if (owner !== undefined && !(owner > 0 && isAlive(owner))) removeStaleLock(file, owner);
      else Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 200);
    }
    try {
      return action();
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
