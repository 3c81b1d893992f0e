import { chmodSync, lstatSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

/** The names of what `up` keeps in its data directory. */
const OWN =
  /^(logs|token|catalog\.json.*|up\.lock.*|stack\.json.*|(catalog|temporal)\.db(\.lock)?(-wal|-shm|-journal)?)$/;

/**
 * Creates a data directory that only this user can enter. If it exists, what `up` keeps there becomes private, and so does the directory
 * itself unless it contains anything else: `--data-dir .` must not close a project to its group.
 */
export function makeDataDir(dataDir: string): void {
  mkdirSync(join(dataDir, 'logs'), { recursive: true, mode: 0o700 });
  const names = readdirSync(dataDir);
  const own = names.filter((name) => OWN.test(name));
  if (own.length === names.length) restrict(dataDir, 0o700);
  for (const name of own) restrict(join(dataDir, name), name === 'logs' ? 0o700 : 0o600);
  for (const name of readdirSync(join(dataDir, 'logs'))) restrict(join(dataDir, 'logs', name), 0o600);
}

/** Does nothing for a link, whose target may be anything, or for what belongs to another user. */
function restrict(path: string, mode: number): void {
  try {
    if (!lstatSync(path).isSymbolicLink()) chmodSync(path, mode);
  } catch (error) {
    // Another process of a stack that is stopping may have removed it.
    if (!/^(ENOENT|EPERM)$/.test((error as NodeJS.ErrnoException).code ?? '')) throw error;
  }
}
