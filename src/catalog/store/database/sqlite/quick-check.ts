import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { constants, setPriority } from 'node:os';
import { text } from 'node:stream/consumers';
import { sqlitePath } from '../sqlite.ts';

export interface QuickCheck {
  /** What SQLite found: `ok` if the file is intact. Rejects if the check could not be done, or was stopped. */
  readonly result: Promise<string>;
  /** Leaves the processors to others. */
  lowerPriority(): void;
  /** Ends the check. */
  stop(): void;
}

/**
 * Checks the structure of each page of a database (https://sqlite.org/pragma.html#pragma_quick_check), in a process of its own: it
 * reads the whole file, which takes minutes for a large one, and cannot be interrupted in a thread.
 */
export function quickCheck(file: string): QuickCheck {
  const child = spawn(process.execPath, ['-e', PROGRAM, sqlitePath, file], {
    // This process's options, such as a debugger's port, are not for the child.
    env: { ...process.env, NODE_OPTIONS: '' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  child.unref();
  const run = async () => {
    const closed = once(child, 'close');
    const [output, errors, [code, signal]] = await Promise.all([text(child.stdout), text(child.stderr), closed]);
    if (code === 0) return output.trim();
    throw new Error(signal === null ? errors.trim().split('\n').at(-1) : `ended by ${signal}`);
  };
  const result = run();
  result.catch(() => {});
  return {
    result,
    lowerPriority() {
      try {
        if (child.pid !== undefined) setPriority(child.pid, constants.priority.PRIORITY_LOW);
      } catch {
        // The check has just ended.
      }
    },
    stop: () => void child.kill('SIGKILL'),
  };
}

// Plain JavaScript, since the process has no TypeScript loader. Damage that prevents the check itself is a result as well.
const PROGRAM = `
const [, sqlite, file] = process.argv;
const Sqlite = require(sqlite);
try {
  const db = new Sqlite(file, { readonly: true, fileMustExist: true });
  console.log(db.pragma('quick_check(1)', { simple: true }));
} catch (error) {
  const damaged = /^SQLITE_(CORRUPT|NOTADB)/.test(error.code);
  (damaged ? console.log : console.error)(error.message);
  process.exitCode = damaged ? 0 : 1;
}
`;
