/** What a test has to give back, the last first: `AsyncDisposableStack`, which Node has from 24 on only. */
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
