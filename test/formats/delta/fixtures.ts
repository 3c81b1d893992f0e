import { fileURLToPath } from 'node:url';
import {
  type DeltaTableReader,
  type OpenDeltaTable,
  openDeltaTable,
} from '../../../src/formats/delta/delta-table-reader.ts';
import { openStore } from '../../../src/storage/open-store.ts';

/** The path of a fixture table (see the README beside them). */
export const fixture = (name: string) => fileURLToPath(new URL(`../../fixtures/delta/${name}`, import.meta.url));

export const localStore = () => openStore({ properties: {}, usage: { requests: 0, bytes: 0 } });

/** Opens a fixture table. */
export function openFixture(name: string, options: Partial<OpenDeltaTable> = {}): Promise<DeltaTableReader> {
  return openTable(fixture(name), { tableName: name, ...options });
}

/** Opens a table in a local folder. */
export function openTable(folder: string, options: Partial<OpenDeltaTable> = {}): Promise<DeltaTableReader> {
  return openDeltaTable({ store: localStore(), location: `file://${folder}`, tableName: 'lake.t', ...options });
}
