import { TemporalUnreachable } from '../../temporal/temporal-errors.ts';
import { inChunks } from '../core/in-chunks.ts';
import type { ServiceDeps } from '../core/ports.ts';
import { claimants, nextClaimant } from '../store/connectors/claims.ts';

type WakeDeps = Pick<ServiceDeps, 'db' | 'jobs' | 'logger'>;

/** Number of waiting jobs that are woken at once. Those behind them have nothing to do yet. */
const MAX_WOKEN = 1000;

/**
 * Wakes the job that is to claim the connector next, if it is free. Call it after the transaction that released the connector. Waiting jobs
 * also look by themselves from time to time, so this only saves time: it returns at once, and errors are logged.
 */
export function wakeNext(deps: WakeDeps, connectorId: string): void {
  inBackground(deps, connectorId, async () => {
    const next = await nextClaimant(deps.db, connectorId);
    return next === undefined ? [] : [next];
  });
}

/** Wakes the job that has the connector and the jobs that wait for it, since the connector has changed. Otherwise like `wakeNext`. */
export function wakeAll(deps: WakeDeps, connectorId: string): void {
  inBackground(deps, connectorId, () => claimants(deps.db, connectorId, MAX_WOKEN));
}

function inBackground({ jobs, logger }: WakeDeps, connectorId: string, find: () => Promise<string[]>): void {
  const wake = async () => {
    const found = await find();
    if (found.length === 0) return;
    const control = await jobs();
    await inChunks(found, (jobId) => control.wake(jobId));
  };
  wake().catch((err) => {
    if (!(err instanceof TemporalUnreachable))
      logger.warn({ connectorId, err }, 'jobs of a connector cannot be woken; they look by themselves later');
  });
}
