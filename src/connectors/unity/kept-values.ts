import { LruCache } from '../../storage/lru-cache.ts';
import { nameText, type UnityName } from './unity-api.ts';

/** How long a value is kept. What is listed or has changed is usually read within seconds. */
const TTL_MS = 5 * 60_000;

/** What a listing or a check has found of tables, by their names, kept for a few minutes until it is used. */
export class KeptValues<T> {
  readonly #kept: LruCache<string, { value: T; until: number }>;

  constructor(maxEntries: number) {
    this.#kept = new LruCache(maxEntries);
  }

  keep(name: UnityName, value: T): void {
    this.#kept.set(nameText(name), { value, until: Date.now() + TTL_MS });
  }

  get(name: UnityName): T | undefined {
    const kept = this.#kept.get(nameText(name));
    return kept !== undefined && Date.now() < kept.until ? kept.value : undefined;
  }

  /** Returns a value once. */
  take(name: UnityName): T | undefined {
    const value = this.get(name);
    this.#kept.delete(nameText(name));
    return value;
  }
}
