import { setTimeout as sleep } from 'node:timers/promises';
import type { CatalogClients } from '../../catalog-client/connect.ts';
import { durationSeconds } from '../../durations.ts';
import { isCatalogAway } from './failures.ts';
import { currentActivity } from './heartbeat.ts';

type Catalog = Pick<CatalogClients, 'reconciliation'>;

/** Granted requests expire after this time, so that they are not all made at once later. */
const GRANT_MS = 1_000;
/** A waiting request reports to its activity's watchdog at this interval. */
const KEEP_ALIVE_MS = 5_000;
/** Wait before another call if the catalog does not respond. */
const AWAY_MS = 1_000;

/** The rate limiters of a worker, one per connector with a limit of requests per second. */
export function rateLimiters(catalog: Catalog): (connectorId: string) => () => Promise<void> {
  const limiters = new Map<string, RateLimiter>();
  return (connectorId) => {
    const limiter = limiters.get(connectorId) ?? new RateLimiter(catalog, connectorId);
    limiters.set(connectorId, limiter);
    return () => limiter.pass();
  };
}

interface Waiting {
  go(): void;
  fail(error: unknown): void;
}

/**
 * Lets requests to the upstream pass, in their order, as the catalog grants them for all workers together. A waiting request reports to its
 * activity that it is not stalled, and ends with it.
 */
export class RateLimiter {
  readonly #catalog: Catalog;
  readonly #connectorId: string;
  readonly #waiting = new Set<Waiting>();
  #left = 0;
  #until = 0;
  #serving = false;

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
    const keepingAlive = activity && setInterval(() => activity.keepAlive(), KEEP_ALIVE_MS);
    activity?.signal.addEventListener('abort', end);
    try {
      await new Promise<void>((go, fail) => {
        waiting = { go, fail };
        this.#waiting.add(waiting);
        void this.#serve();
      });
    } finally {
      this.#waiting.delete(waiting!);
      clearInterval(keepingAlive);
      activity?.signal.removeEventListener('abort', end);
    }
  }

  async #serve(): Promise<void> {
    if (this.#serving) return;
    this.#serving = true;
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
        this.#until = performance.now() + GRANT_MS;
      }
    } catch (error) {
      for (const waiting of this.#waiting) waiting.fail(error);
      this.#waiting.clear();
    } finally {
      this.#serving = false;
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
      // The activity needs the catalog, too, and waits for it.
      if (!isCatalogAway(error)) throw error;
      await sleep(AWAY_MS);
      return 0;
    }
  }
}
