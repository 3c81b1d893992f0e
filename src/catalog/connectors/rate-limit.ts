import { toDuration } from '../../durations.ts';
import type { ReconciliationServiceImplementation } from '../../generated/reconciler/internal/v1/reconciliation.ts';
import type { ServiceDeps } from '../core/ports.ts';
import { checkIds } from '../rpc/violations.ts';
import { getConnector } from '../store/connectors/connectors.ts';

/** One call grants the requests of this many seconds: with a limit of 100 requests per second, workers make ten calls per second. */
const BATCH_SECONDS = 0.1;
/** Requests granted if the limit was removed while a worker still calls. */
const UNLIMITED_GRANT = 1_000;

/** The RPC of the service Reconciliation with which workers stay within a connector's limit of requests per second. */
export function createRateLimitRpcs(
  { db }: Pick<ServiceDeps, 'db'>,
  queues: RequestQueues,
): Pick<ReconciliationServiceImplementation, 'acquireRequests'> {
  return {
    async acquireRequests({ connectorId }) {
      checkIds({ connector_id: connectorId });
      const perSecond = (await getConnector(db, connectorId)).policy?.maxRequestsPerSecond ?? 0;
      if (perSecond <= 0) return { granted: UNLIMITED_GRANT };
      const { granted, waitMs } = queues.take(connectorId, perSecond, performance.now());
      return { granted, wait: toDuration(waitMs / 1000) };
    },
  };
}

/**
 * When the next request of each connector may be made. Every call is granted immediately, for a time in the future, so callers are served
 * in order and need not call again. The queues are in memory only; after a restart, at most one batch of requests is made too early.
 */
export class RequestQueues {
  readonly #queues = new Map<string, { perSecond: number; next: number }>();

  /** @param now milliseconds of a monotonic clock */
  take(connectorId: string, perSecond: number, now: number): { granted: number; waitMs: number } {
    for (const [id, { next }] of this.#queues) if (next <= now) this.#queues.delete(id);
    const queue = this.#queues.get(connectorId);
    // If the limit was changed, callers that are waiting continue to wait, but new ones do not queue behind them.
    const at = queue?.perSecond === perSecond ? queue.next : now;
    const granted = Math.max(1, Math.floor(perSecond * BATCH_SECONDS));
    this.#queues.set(connectorId, { perSecond, next: at + (granted * 1000) / perSecond });
    return { granted, waitMs: Math.ceil(at - now) };
  }
}
