import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { sqlitePath } from '../../../src/catalog/store/database/sqlite.ts';

// Plain JavaScript, since the process has no TypeScript loader.
const PROGRAM = `
const [, sqlite, file] = process.argv;
const db = new (require(sqlite))(file);
db.exec('begin exclusive');
console.log('locked');
process.stdin.once('end', () => { db.exec('commit'); db.close(); }).resume();
`;

/** Locks a database in another process, as a tool does that writes to it. */
export async function lockElsewhere(file: string): Promise<{ unlock(): Promise<void> }> {
  const child = spawn(process.execPath, ['-e', PROGRAM, sqlitePath, file], { stdio: ['pipe', 'pipe', 'inherit'] });
  const exit = once(child, 'exit');
  await once(child.stdout, 'data');
  return {
    async unlock() {
      child.stdin.end();
      await exit;
    },
  };
}
