import { condition } from '@temporalio/workflow';

/** At most `limit` tasks at once; tasks must not reject. */
export class Pool {
  readonly #limit: number;
  #running = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Starts the task as soon as there is room, and returns then. */
  async add(task: () => Promise<void>): Promise<void> {
    await condition(() => this.#running < this.#limit);
    this.#running += 1;
    void task().finally(() => {
      this.#running -= 1;
    });
  }

  /** Waits for all that were started. */
  async drain(): Promise<void> {
    await condition(() => this.#running === 0);
  }
}
