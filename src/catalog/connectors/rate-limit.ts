import { toDuration } from '../../durations.ts';
import type { ReconciliationServiceImplementation } from '../../generated/reconciler/internal/v1/reconciliation.ts';
import type { ServiceDeps } from '../core/ports.ts';
import { checkIds } from '../rpc/violations.ts';
import { getConnector } from '../store/connectors/connectors.ts';

/** Seconds of a cap that are given at once: of 100 requests a second, ten calls a second. */
const BATCH_SECONDS = 0.1;
/** Given where the cap was taken away while a worker still asks. */
const UNCAPPED = 1_000;

/** The call of the service Reconciliation by which workers keep to a connector's requests a second. */
export function createRateLimitRpcs({
  db,
}: Pick<ServiceDeps, 'db'>): Pick<ReconciliationServiceImplementation, 'acquireRequests'> {
  const queues = new RequestQueues();
  return {
    async acquireRequests({ connectorId }) {
      checkIds({ connector_id: connectorId });
      const perSecond = (await getConnector(db, connectorId)).policy?.maxRequestsPerSecond ?? 0;
      if (perSecond <= 0) return { granted: UNCAPPED };
      const { granted, waitMs } = queues.take(connectorId, perSecond, performance.now());
      return { granted, wait: toDuration(waitMs / 1000) };
    },
  };
}

/**
 * When the next request of each connector may be made. What is asked for is given at once, for a time to come: so whoever asks first goes
 * first, and nobody asks twice. In memory only: after a restart at most one batch is made too early.
 */
export class RequestQueues {
  readonly #queues = new Map<string, { perSecond: number; next: number }>();

  /** @param now milliseconds of a clock that only goes forward */
  take(connectorId: string, perSecond: number, now: number): { granted: number; waitMs: number } {
    for (const [id, { next }] of this.#queues) if (next <= now) this.#queues.delete(id);
    const queue = this.#queues.get(connectorId);
    // Who waits by a cap that was changed goes on waiting; those that come now need not.
    const at = queue?.perSecond === perSecond ? queue.next : now;
    const granted = Math.max(1, Math.floor(perSecond * BATCH_SECONDS));
    this.#queues.set(connectorId, { perSecond, next: at + (granted * 1000) / perSecond });
    return { granted, waitMs: Math.ceil(at - now) };
  }
}
