/** Items of which the next one can be looked at before it is taken. */
export class Peekable<T> implements AsyncIterableIterator<T> {
  readonly #items: AsyncIterator<T>;
  #next?: Promise<IteratorResult<T>>;

  constructor(items: AsyncIterable<T>) {
    this.#items = items[Symbol.asyncIterator]();
  }

  /** Undefined at the end. @throws the errors of the items, which `next` throws, too */
  async peek(): Promise<T | undefined> {
    this.#next ??= this.#items.next();
    const { done, value } = await this.#next;
    return done ? undefined : value;
  }

  next(): Promise<IteratorResult<T>> {
    const next = this.#next ?? this.#items.next();
    this.#next = undefined;
    return next;
  }

  async return(): Promise<IteratorResult<T>> {
    await this.#items.return?.();
    return { done: true, value: undefined };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}
