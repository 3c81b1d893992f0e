import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';

/** True while the process is there, whoever owns it. */
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
 * Runs `action` while no other process does so under the same file. Waits for a live holder; a dead one's lock is taken over.
 *
 * The lock is a hard link to a file that already holds the pid, so that nobody ever sees a lock without its owner.
 */
export function withLock(file, action) {
  const mine = `${file}.${process.pid}`;
  writeFileSync(mine, String(process.pid));
  try {
    for (;;) {
      try {
        linkSync(mine, file);
        break;
      } catch (error) {
        if (error.code !== 'EEXIST') throw error;
      }
      const owner = ownerOf(file);
      if (owner !== undefined && !(owner > 0 && isAlive(owner))) takeAway(file, owner);
      else Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 200);
    }
    try {
      return action();
    } finally {
      rmSync(file, { force: true });
    }
  } finally {
    rmSync(mine, { force: true });
  }
}

/** Removes a dead owner's lock, and only that: another process may have taken it over a moment ago. */
function takeAway(file, deadOwner) {
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
      // Somebody else has it by now.
    }
  }
  rmSync(aside, { force: true });
}
