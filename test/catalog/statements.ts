import { Sqlite } from '../../src/catalog/store/database/sqlite.ts';

type Method = (this: { source: string }, ...parameters: unknown[]) => unknown;

/**
 * Counts the statements that this process executes in its databases, however they are prepared.
 *
 * @returns what ends the counting and returns the statements' texts in their order
 */
export function recordStatements(): () => string[] {
  const database = new Sqlite(':memory:');
  const prototype = Object.getPrototypeOf(database.prepare('select 1')) as Record<string, Method>;
  database.close();
  const texts: string[] = [];
  const originals = ['run', 'get', 'all', 'iterate'].map((name) => [name, prototype[name] as Method] as const);
  for (const [name, original] of originals) {
    prototype[name] = function record(...parameters) {
      texts.push(this.source.replace(/\s+/g, ' '));
      return original.apply(this, parameters);
    };
  }
  return () => {
    for (const [name, original] of originals) prototype[name] = original;
    return texts;
  };
}
