import type { TableFormat } from '../../formats/table-reader.ts';
import { LruCache } from '../../storage/lru-cache.ts';
import type { ObjectStore } from '../../storage/object-store.ts';
import { type FolderKind, folderKind } from './folder-kind.ts';

/** A walk needs the kind of a folder four times: among the tables and the namespaces of its parent, and before its own are listed. */
const MAX_AGE_MS = 10_000;
const MAX_FOLDERS = 20_000;

/** The kinds of folders, each found out once during a walk. */
export class FolderKinds {
  readonly #store: ObjectStore;
  readonly #wanted: TableFormat;
  readonly #known = new LruCache<string, { kind: FolderKind; since: number }>(MAX_FOLDERS);

  constructor(store: ObjectStore, wanted: TableFormat) {
    this.#store = store;
    this.#wanted = wanted;
  }

  async of(folder: string): Promise<FolderKind> {
    const since = performance.now();
    const known = this.#known.get(folder);
    if (known && since - known.since < MAX_AGE_MS) return known.kind;
    const kind = await folderKind(this.#store, folder, this.#wanted);
    if (kind === 'gone' || kind === 'unknown') this.#known.delete(folder);
    else this.#known.set(folder, { kind, since });
    return kind;
  }
}
