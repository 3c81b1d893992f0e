import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  type Entry,
  type ListedManifest,
  manifest,
  manifestList,
  snapshot,
  tableMetadata,
} from '../../formats/iceberg/write-table.ts';
import { METADATA } from './folder-tables.ts';

/** A snapshot of a history, with the names of its manifests. */
export interface WrittenSnapshot {
  id: number;
  parent?: number;
  manifests: string[];
  /** Name of its manifest list. */
  list?: string;
  sequence?: number;
}

/** Writes a table of format version 2, with its history, into a warehouse: `db.t`. */
export class FolderHistory {
  readonly #metadata: string;
  readonly #manifests = new Map<string, ListedManifest>();
  readonly #lists = new Set<string>();
  #version = 0;

  constructor(warehouse: string) {
    this.#metadata = join(warehouse, METADATA);
    mkdirSync(this.#metadata, { recursive: true });
  }

  /** Writes a manifest of the snapshot with this id, which is its sequence number, too. */
  manifest(name: string, id: number, entries: readonly Entry[], more: Partial<ListedManifest> = {}): this {
    const bytes = manifest(entries);
    const count = (status: number) => entries.filter((entry) => (entry.status ?? 1) === status).length;
    const path = this.path(`${name}.avro`);
    writeFileSync(path, bytes);
    const counts = [count(1), count(0), count(2)] as const;
    this.#manifests.set(name, { path, bytes, snapshot: id, sequence: id, counts, ...more });
    return this;
  }

  /** Writes the table's next version, whose current snapshot is the last one, and the manifest lists that are new. */
  write(snapshots: readonly WrittenSnapshot[], more: Record<string, unknown> = {}): this {
    for (const { id, manifests, list = `snap-${id}` } of snapshots) {
      if (this.#lists.has(list)) continue;
      this.#lists.add(list);
      const listed = manifests.map((name) => this.#manifests.get(name) as ListedManifest);
      writeFileSync(this.path(`${list}.avro`), manifestList(listed));
    }
    this.#version += 1;
    const metadata = tableMetadata({
      location: join(this.#metadata, '..'),
      snapshots: snapshots.map(({ id, parent, list = `snap-${id}`, sequence = id }) =>
        snapshot(id, {
          'manifest-list': this.path(`${list}.avro`),
          'sequence-number': sequence,
          ...(parent !== undefined && { 'parent-snapshot-id': parent }),
        }),
      ),
      'current-snapshot-id': snapshots.at(-1)?.id ?? -1,
      'last-sequence-number': 1000,
      ...more,
    });
    writeFileSync(this.path(`v${this.#version}.metadata.json`), JSON.stringify(metadata));
    return this;
  }

  /** Deletes a file of the metadata, or gives it these bytes. @returns the bytes that it had */
  damage(name: string, bytes?: Buffer): Buffer | undefined {
    const path = this.path(name);
    const before = existsSync(path) ? readFileSync(path) : undefined;
    if (bytes === undefined) rmSync(path);
    else writeFileSync(path, bytes);
    return before;
  }

  path(name: string): string {
    return join(this.#metadata, name);
  }
}

export const THREE_SNAPSHOTS: readonly WrittenSnapshot[] = [
  { id: 1, manifests: ['m1'] },
  { id: 2, parent: 1, manifests: ['m1', 'm2'] },
  { id: 3, parent: 2, manifests: ['m1', 'm2', 'm3'] },
];

/** A table with the snapshots 1 (a), 2 (a and b) and 3 (a, b and c): THREE_SNAPSHOTS. */
export function writeThreeSnapshots(warehouse: string): FolderHistory {
  const table = new FolderHistory(warehouse);
  table.manifest('m1', 1, [{ path: 'a' }]);
  table.manifest('m2', 2, [{ path: 'b' }]);
  table.manifest('m3', 3, [{ path: 'c' }]);
  return table.write(THREE_SNAPSHOTS);
}
