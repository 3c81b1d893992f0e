/** Resources that a test has to dispose of, last first, as `AsyncDisposableStack` does (only in Node 24 and newer). */
export class CleanUp implements AsyncDisposable {
  readonly #resources: AsyncDisposable[] = [];

  use<T extends AsyncDisposable>(resource: T): T {
    this.#resources.push(resource);
    return resource;
  }

  defer(action: () => void | Promise<void>): void {
    this.#resources.push({ [Symbol.asyncDispose]: async () => action() });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (let resource = this.#resources.pop(); resource; resource = this.#resources.pop()) {
      await resource[Symbol.asyncDispose]();
    }
  }
}
