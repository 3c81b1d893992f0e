const WINDOW = 6;
const MASK = 0xffff;

/**
 * Finds which of many texts occur in another one, in a single pass over it: a rolling hash of six characters rules out nearly all places. The
 * texts have at least six characters.
 */
export class FormIndex<T> {
  /** One bit per hash, so that all of them fit in the processor's nearest cache. */
  readonly #firsts = new Uint32Array((MASK + 1) / 32);
  readonly #byHash = new Map<number, { form: string; owner: T }[]>();

  add(form: string, owner: T): void {
    let hash = 0;
    for (let i = 0; i < WINDOW; i++) hash = step(hash, form.charCodeAt(i));
    this.#firsts[hash >>> 5]! |= 1 << (hash & 31);
    const same = this.#byHash.get(hash) ?? [];
    same.push({ form, owner });
    this.#byHash.set(hash, same);
  }

  /**
   * Calls `found` with the owner of each text at each place where it occurs.
   *
   * @returns whether any does
   */
  search(text: string, found: (owner: T) => void): boolean {
    let isFound = false;
    const { length } = text;
    const firsts = this.#firsts;
    let hash = 0;
    for (let i = 0; i < length; i++) {
      hash = step(hash, text.charCodeAt(i));
      if (((firsts[hash >>> 5]! >>> (hash & 31)) & 1) === 0 || i < WINDOW - 1) continue;
      const start = i - WINDOW + 1;
      for (const { form, owner } of this.#byHash.get(hash) ?? []) {
        if (!text.startsWith(form, start)) continue;
        isFound = true;
        found(owner);
      }
    }
    return isFound;
  }
}

/** With 16 bits and shifts by 3, characters before the last six no longer matter. */
function step(hash: number, char: number): number {
  return ((hash << 3) ^ char) & MASK;
}
