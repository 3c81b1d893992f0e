import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type BetterSqlite from 'better-sqlite3';
import { CodedError } from '../../../errors.ts';
import { Sqlite } from './sqlite.ts';

/** A service that stops lets its calls end for ten seconds: its successor may be there already. */
const WAIT_MS = 20_000;
const RETRY_MS = 200;

/**
 * Makes this process the only one that serves the database, until it lets go or ends, however that is: SQLite's lock of an empty file beside it,
 * which the kernel gives back. SQLite would let two write in turn; what a service keeps in memory, and clears when it starts, bears one alone.
 *
 * @param options.waitMs so long another holder may take to let go
 * @param options.onWait called once, where there is one
 * @throws CodedError FAILED_PRECONDITION where it does not
 */
export async function lockDatabase(
  file: string,
  { waitMs = WAIT_MS, onWait }: { waitMs?: number; onWait?: () => void } = {},
): Promise<{ release(): void }> {
  if (file === ':memory:') return { release() {} };
  const deadline = Date.now() + waitMs;
  for (let attempt = 1; ; attempt++) {
    const lock = tryLock(file);
    if (lock) return { release: () => void lock.close() };
    if (Date.now() >= deadline) {
      throw new CodedError(
        'FAILED_PRECONDITION',
        `database ${file} is served by another catalog service on this machine. Use that one, stop it, or name another --database.`,
      );
    }
    if (attempt === 1) onWait?.();
    await sleep(RETRY_MS);
  }
}

/** Undefined where another has it. */
function tryLock(file: string): BetterSqlite.Database | undefined {
  let sqlite: BetterSqlite.Database | undefined;
  try {
    mkdirSync(dirname(file), { recursive: true });
    sqlite = new Sqlite(`${file}.lock`, { timeout: 0 });
    sqlite.exec('begin exclusive');
    return sqlite;
  } catch (cause) {
    sqlite?.close();
    if ((cause as { code?: string }).code === 'SQLITE_BUSY') return undefined;
    throw new CodedError('UNAVAILABLE', `database ${file} cannot be opened: ${(cause as Error).message}`, { cause });
  }
}
