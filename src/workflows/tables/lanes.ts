export type RunningTask = object;

/** Runs tasks in their order, several at once. Plain state: whether and how many may run is up to its caller, which calls `pump` when that changes. */
export class Lanes<T> {
  readonly #run: (task: T) => Promise<void>;
  readonly #mayStart: (running: number) => boolean;
  readonly #queue: T[] = [];
  readonly #running = new Set<RunningTask>();

  /**
   * @param run must not reject; it may add tasks
   * @param mayStart whether one more task may start beside this number of running ones
   */
  constructor(run: (task: T) => Promise<void>, mayStart: (running: number) => boolean) {
    this.#run = run;
    this.#mayStart = mayStart;
  }

  get queued(): readonly T[] {
    return this.#queue;
  }

  /** One object for each task that is running. */
  get running(): ReadonlySet<RunningTask> {
    return this.#running;
  }

  add(...tasks: T[]): void {
    this.#queue.push(...tasks);
    this.pump();
  }

  /** Adds tasks that were begun before: they come first. */
  addFirst(...tasks: T[]): void {
    this.#queue.unshift(...tasks);
    this.pump();
  }

  /** Starts what may start. */
  pump(): void {
    while (this.#queue.length > 0 && this.#mayStart(this.#running.size)) {
      const task = this.#queue.shift() as T;
      // A task may add itself again before it has ended.
      const running = {};
      this.#running.add(running);
      void this.#run(task).finally(() => {
        this.#running.delete(running);
        this.pump();
      });
    }
  }
}
