/** Items of which the next one can be looked at before it is taken, and of which some can be put back. */
export class Peekable<T> implements AsyncIterableIterator<T> {
  readonly #items: AsyncIterator<T>;
  #next?: Promise<IteratorResult<T>>;
  #back: T[] = [];

  constructor(items: AsyncIterable<T>) {
    this.#items = items[Symbol.asyncIterator]();
  }

  /** Undefined at the end. @throws the errors of the items, which `next` throws, too */
  async peek(): Promise<T | undefined> {
    if (this.#back.length > 0) return this.#back[0];
    this.#next ??= this.#items.next();
    const { done, value } = await this.#next;
    return done ? undefined : value;
  }

  async next(): Promise<IteratorResult<T>> {
    const [value] = this.#back.splice(0, 1);
    if (value !== undefined) return { done: false, value };
    const next = this.#next ?? this.#items.next();
    this.#next = undefined;
    return next;
  }

  /** The items come next, in this order. */
  putBack(items: readonly T[]): void {
    this.#back = [...items, ...this.#back];
  }

  async return(): Promise<IteratorResult<T>> {
    await this.#items.return?.();
    return { done: true, value: undefined };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}
