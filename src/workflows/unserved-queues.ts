import type { UnservedQueue } from '../contract/unserved-queue.ts';
import { UNSERVED_AFTER_MS } from './activity-proxies.ts';

/** A job gives up if no worker has taken any of its steps from a task queue for this time. */
const MAX_UNSERVED_MS = 24 * 3_600_000;

/** When the first step began to wait in each task queue from which no worker has taken one since, in milliseconds. */
export type CarriedQueues = Record<string, number>;

/** The task queues that a job waits for. Plain state: nothing in here calls Temporal. */
export class UnservedQueues {
  readonly #since: Map<string, number>;
  /** When a worker last finished a step from each queue, in milliseconds. */
  readonly #servedAt = new Map<string, number>();

  constructor(carried: CarriedQueues = {}) {
    this.#since = new Map(Object.entries(carried));
  }

  carry(): CarriedQueues {
    return Object.fromEntries(this.#since);
  }

  /** No worker has taken a step in time. @returns false if workers are only busy: meanwhile they have finished other steps of the queue */
  add(queue: string): boolean {
    if (Date.now() - (this.#servedAt.get(queue) ?? 0) < UNSERVED_AFTER_MS) return false;
    if (!this.#since.has(queue)) this.#since.set(queue, Date.now() - UNSERVED_AFTER_MS);
    return true;
  }

  /** A worker has finished a step. @returns whether the job waited for the queue */
  served(queue: string): boolean {
    this.#servedAt.set(queue, Date.now());
    return this.#since.delete(queue);
  }

  /** The job waits for something else, or its connector has another queue by now. @param except queues that it still waits for */
  forget(except: readonly string[] = []): void {
    for (const queue of this.#since.keys()) if (!except.includes(queue)) this.#since.delete(queue);
  }

  /** The one that the job has waited for longest. */
  get longest(): UnservedQueue | undefined {
    const [first] = [...this.#since].sort(([, a], [, b]) => a - b);
    return first && { name: first[0], since: new Date(first[1]) };
  }

  /** The one that the job has waited for in vain. */
  get givenUp(): UnservedQueue | undefined {
    const { longest } = this;
    return longest && Date.now() - longest.since.getTime() >= MAX_UNSERVED_MS ? longest : undefined;
  }
}
