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

  /**
   * Runs all tasks for one that runs itself, at most `most` at once: in its room, and besides where there is more. Ends when all have; after
   * the one with which `goesOn` says no, none is begun.
   */
  async within(tasks: (() => Promise<void>)[], { most, goesOn }: { most: number; goesOn(): boolean }): Promise<void> {
    const left = [...tasks];
    const next = () => (goesOn() ? left.shift() : undefined);
    const lane = async () => {
      for (let task = next(); task; task = next()) await task();
    };
    const lanes = [lane()];
    try {
      while (lanes.length < most) {
        await condition(() => this.#running < this.#limit || left.length === 0 || !goesOn());
        if (left.length === 0 || !goesOn()) return;
        this.#running += 1;
        lanes.push(lane().finally(() => (this.#running -= 1)));
      }
    } finally {
      await Promise.all(lanes);
    }
  }

  /** Waits for all that were started. */
  async drain(): Promise<void> {
    await condition(() => this.#running === 0);
  }
}
