import { join, resolve } from 'node:path';
import { Option } from 'commander';
import { readConfig } from '../../config.ts';

/** Which database a command works on, with the same default as `reconciler catalog`. */
export const databaseOption = () =>
  new Option('--database <file>', "the catalog's SQLite file (default: catalog.db in RECONCILER_DATA_DIR)");

export function databaseFileOf({ database }: { database?: string }): string {
  return resolve(database ?? join(readConfig().dataDir, 'catalog.db'));
}
