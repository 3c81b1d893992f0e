import { setTimeout as sleep } from 'node:timers/promises';
import type { CatalogClients } from '../../catalog-client/connect.ts';
import { durationSeconds } from '../../durations.ts';
import { isCatalogAway } from './failures.ts';
import { currentActivity } from './heartbeat.ts';

type Catalog = Pick<CatalogClients, 'reconciliation'>;

/** Requests that were given and are not made by then are given up, so that they are not all made at once later. */
const KEPT_MS = 1_000;
/** What waits tells its activity's watchdog so often that it waits. */
const TELL_MS = 5_000;
/** Until the catalog is asked again that did not answer. */
const AWAY_MS = 1_000;

/** The gates of a worker, one for each connector whose requests a second are capped. */
export function rateLimiters(catalog: Catalog): (connectorId: string) => () => Promise<void> {
  const gates = new Map<string, RateLimiter>();
  return (connectorId) => {
    const gate = gates.get(connectorId) ?? new RateLimiter(catalog, connectorId);
    gates.set(connectorId, gate);
    return () => gate.pass();
  };
}

interface Waiting {
  go(): void;
  fail(error: unknown): void;
}

/**
 * Lets requests upstream through, in their order, as the catalog gives them: it counts for all workers. Whoever waits tells its activity
 * that this is no stall, and ends with it.
 */
export class RateLimiter {
  readonly #catalog: Catalog;
  readonly #connectorId: string;
  readonly #waiting = new Set<Waiting>();
  #left = 0;
  #until = 0;
  #asking = false;

  constructor(catalog: Catalog, connectorId: string) {
    this.#catalog = catalog;
    this.#connectorId = connectorId;
  }

  async pass(): Promise<void> {
    if (this.#left > 0 && this.#waiting.size === 0 && performance.now() < this.#until) {
      this.#left -= 1;
      return;
    }
    const activity = currentActivity();
    activity?.signal.throwIfAborted();
    let waiting: Waiting | undefined;
    const end = () => waiting?.fail(activity?.signal.reason);
    const telling = activity && setInterval(() => activity.keepAlive(), TELL_MS);
    activity?.signal.addEventListener('abort', end);
    try {
      await new Promise<void>((go, fail) => {
        waiting = { go, fail };
        this.#waiting.add(waiting);
        void this.#serve();
      });
    } finally {
      this.#waiting.delete(waiting!);
      clearInterval(telling);
      activity?.signal.removeEventListener('abort', end);
    }
  }

  async #serve(): Promise<void> {
    if (this.#asking) return;
    this.#asking = true;
    try {
      while (this.#waiting.size > 0) {
        let left = await this.#take();
        for (const waiting of this.#waiting) {
          if (left === 0) break;
          left -= 1;
          this.#waiting.delete(waiting);
          waiting.go();
        }
        this.#left = left;
        this.#until = performance.now() + KEPT_MS;
      }
    } catch (error) {
      for (const waiting of this.#waiting) waiting.fail(error);
      this.#waiting.clear();
    } finally {
      this.#asking = false;
    }
  }

  /** @returns how many requests may be made now */
  async #take(): Promise<number> {
    try {
      const { granted, wait } = await this.#catalog.reconciliation.acquireRequests({ connectorId: this.#connectorId });
      const waitMs = durationSeconds(wait) * 1000;
      if (waitMs > 0) await sleep(waitMs);
      return granted;
    } catch (error) {
      // The work needs the catalog too, and waits for it.
      if (!isCatalogAway(error)) throw error;
      await sleep(AWAY_MS);
      return 0;
    }
  }
}
