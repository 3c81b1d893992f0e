import { readdirSync, readFileSync } from 'node:fs';
import {
  type DeltaTableReader,
  type OpenDeltaTable,
  openDeltaTable,
} from '../../../src/formats/delta/delta-table-reader.ts';
import { MemoryStore } from '../../connectors/memory-store.ts';
import { fixture } from './fixtures.ts';

export const LOG = 'file:///t/_delta_log';

/** The name of a version's commit. */
export const commit = (version: number) => `${String(version).padStart(20, '0')}.json`;

/** A table in memory, whose log can be changed. */
export class MemoryTable {
  readonly store = new MemoryStore();

  /** A copy of a fixture's log. */
  static of(name: string): MemoryTable {
    const table = new MemoryTable();
    const folder = fixture(`${name}/_delta_log`);
    for (const entry of readdirSync(folder, { withFileTypes: true, recursive: true })) {
      if (!entry.isFile()) continue;
      const path = `${entry.parentPath}/${entry.name}`;
      table.put(path.slice(folder.length + 1), readFileSync(path));
    }
    return table;
  }

  put(name: string, content: Uint8Array | string | object[]): this {
    const text = Array.isArray(content) ? content.map((action) => JSON.stringify(action)).join('\n') : content;
    this.store.objects.set(`${LOG}/${name}`, Buffer.from(text as string));
    return this;
  }

  get(name: string): Buffer {
    return this.store.objects.get(`${LOG}/${name}`) as Buffer;
  }

  remove(...names: string[]): this {
    for (const name of names) this.store.objects.delete(`${LOG}/${name}`);
    return this;
  }

  open(options: Partial<OpenDeltaTable> = {}): Promise<DeltaTableReader> {
    return openDeltaTable({ store: this.store, location: 'file:///t', tableName: 'lake.t', ...options });
  }

  /** Names of the files of the log that were read. */
  get reads(): string[] {
    return this.store.reads.map((path) => path.slice(LOG.length + 1));
  }
}

export const protocol = (more: object = {}) => ({ protocol: { minReaderVersion: 1, minWriterVersion: 2, ...more } });

export const metadata = (more: object = {}) => ({
  metaData: {
    id: 'f1b2',
    format: { provider: 'parquet', options: {} },
    schemaString: JSON.stringify({
      type: 'struct',
      fields: [{ name: 'id', type: 'long', nullable: true, metadata: {} }],
    }),
    partitionColumns: [],
    configuration: {},
    ...more,
  },
});

export const add = (path: string, more: object = {}) => ({
  add: { path, partitionValues: {}, size: 10, modificationTime: 1, dataChange: true, ...more },
});

export const remove = (path: string, more: object = {}) => ({ remove: { path, dataChange: true, ...more } });
