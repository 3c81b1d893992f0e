/**
 * Opens a database in a process of its own, which is killed before a given statement: `node --import tsx dying-process.ts FILE [NUMBER]`.
 * Without a number it survives, and prints how many statements it executed.
 */
import { openDatabase } from '../../../src/catalog/store/database/database.ts';
import { Sqlite } from '../../../src/catalog/store/database/sqlite.ts';

const [file, number] = process.argv.slice(2);
let executed = 0;

function count(): void {
  executed += 1;
  if (executed === Number(number)) process.kill(process.pid, 'SIGKILL');
}

/** Counts the calls of a native method that executes SQL. */
function intercept(prototype: Record<string, (...args: unknown[]) => unknown>, name: string): void {
  const execute = prototype[name]!;
  prototype[name] = function (...args) {
    count();
    return execute.apply(this, args);
  };
}

const memory = new Sqlite(':memory:');
for (const name of ['run', 'get', 'all']) intercept(Object.getPrototypeOf(memory.prepare('select 1')), name);
intercept(Sqlite.prototype as never, 'exec');
memory.close();

const database = await openDatabase(file as string);
const total = executed;
await database.close();
console.log(total);
