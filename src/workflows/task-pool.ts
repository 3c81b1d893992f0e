import { condition as workflowCondition } from '@temporalio/workflow';

/** Runs at most `limit` tasks at once. Tasks must not reject. */
export class Pool {
  readonly #limit: number;
  readonly #condition: (fulfilled: () => boolean) => Promise<void>;
  #running = 0;

  /** @param condition waits until its argument returns true; Temporal's own also rejects when the workflow is cancelled */
  constructor(limit: number, condition: (fulfilled: () => boolean) => Promise<void> = workflowCondition) {
    this.#limit = limit;
    this.#condition = condition;
  }

  /** Starts the task as soon as there is room, and returns then. */
  async add(task: () => Promise<void>): Promise<void> {
    await this.#condition(() => this.#running < this.#limit);
    this.#running += 1;
    void task().finally(() => {
      this.#running -= 1;
    });
  }

  /**
   * Runs subtasks of a task that is running in the pool: one in that task's own slot, and more, up to `limit` in total, while other slots
   * are free. Returns when all that were started have ended; none is started after `mayStart` has returned false.
   */
  async runSubtasks(
    subtasks: (() => Promise<void>)[],
    { limit, mayStart }: { limit: number; mayStart: () => boolean },
  ): Promise<void> {
    const left = [...subtasks];
    const isOver = () => left.length === 0 || !mayStart();
    const runLane = async () => {
      while (!isOver()) await left.shift()!();
    };
    const lanes = [runLane()];
    try {
      while (lanes.length < limit) {
        await this.#condition(() => this.#running < this.#limit || isOver());
        if (isOver()) return;
        this.#running += 1;
        lanes.push(
          runLane().finally(() => {
            this.#running -= 1;
          }),
        );
      }
    } finally {
      await Promise.all(lanes);
    }
  }

  /** Waits until no task is running. */
  async drain(): Promise<void> {
    await this.#condition(() => this.#running === 0);
  }
}
