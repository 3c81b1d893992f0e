import type { ObjectStore } from '../../src/storage/object-store.ts';

/** Counts what is really read from a store, by path. */
export class CountingStore implements ObjectStore {
  readonly bytesRead = new Map<string, number>();
  readonly #store: ObjectStore;

  constructor(store: ObjectStore) {
    this.#store = store;
  }

  async read(path: string, options: Parameters<ObjectStore['read']>[1]): Promise<Uint8Array> {
    const bytes = await this.#store.read(path, options);
    this.bytesRead.set(path, (this.bytesRead.get(path) ?? 0) + bytes.length);
    return bytes;
  }

  stat(path: string) {
    return this.#store.stat(path);
  }

  list(folder: string, options?: Parameters<ObjectStore['list']>[1]) {
    return this.#store.list(folder, options);
  }
}
