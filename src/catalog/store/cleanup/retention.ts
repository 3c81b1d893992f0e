import { setTimeout } from 'node:timers/promises';
import type { Kysely } from 'kysely';
import type { Logger } from 'pino';
import type { Retention } from '../../../config.ts';
import type { Clock } from '../clock/clock.ts';
import { underClaim } from '../database/claim-fence.ts';
import type { Schema } from '../database/schema.ts';
import { removeAuditEvents } from './remove-audit-events.ts';
import { removeDrafts } from './remove-drafts.ts';
import { removeJobs } from './remove-jobs.ts';
import { removeKeys } from './remove-keys.ts';
import { removeReports } from './remove-reports.ts';
import { removeStages } from './remove-stages.ts';
import type { Removed, RemovedKind } from './removed.ts';

const EVERY_MS = 3_600_000;
/**
 * Pause after a step, in its durations. Calls are served meanwhile, and the write-ahead log, of which a step fills megabytes, is moved into the
 * database before it exceeds its limit (see checkpointer.ts). Without pauses, a commit moved it every 50 steps, and calls waited 80 ms.
 */
const PAUSE = 9;

/**
 * Removes what is older than `before`, in milliseconds since 1970, in transactions of at most 1,000 rows of a table. It yields after each
 * of them, and can be ended there.
 */
type Remover = (db: Kysely<Schema>, before: number, signal: AbortSignal) => AsyncIterable<Removed>;

/** No setting: a validation takes at most a minute. */
const DRAFTS_MS = 3_600_000;

const REMOVERS: readonly [keyof Retention | 'draftsMs', Remover][] = [
  ['jobsMs', removeJobs],
  ['reportsMs', removeReports],
  ['idempotencyKeysMs', removeKeys],
  ['stagesMs', removeStages],
  ['auditMs', removeAuditEvents],
  ['draftsMs', removeDrafts],
];

export interface RetentionDeps {
  db: Kysely<Schema>;
  clock: Clock;
  logger: Logger;
  /** Called after each step that has removed something. */
  onRemoved: (removed: Removed) => void;
}

/** Removes what is older than the settings allow: now, and then every hour. */
export function createRetention(deps: RetentionDeps, retention: Retention): { stop(): Promise<void> } {
  const { db, clock, logger, onRemoved } = deps;
  const stopped = new AbortController();
  const { signal } = stopped;
  const running = underClaim(undefined, run);
  return {
    stop() {
      stopped.abort();
      return running;
    },
  };

  async function run(): Promise<void> {
    while (!signal.aborted) {
      await pass().catch((err) =>
        logger.error({ err }, 'old records could not be removed; the next try is in an hour'),
      );
      await setTimeout(EVERY_MS, undefined, { signal, ref: false }).catch(() => undefined);
    }
  }

  async function pass(): Promise<void> {
    const total: Removed = {};
    for (const [setting, remove] of REMOVERS) {
      const kept = setting === 'draftsMs' ? DRAFTS_MS : retention[setting];
      if (kept === undefined) continue;
      let began = performance.now();
      for await (const removed of remove(db, await clock.ago(kept), signal)) {
        for (const kind of Object.keys(removed) as RemovedKind[])
          total[kind] = (total[kind] ?? 0) + (removed[kind] ?? 0);
        onRemoved(removed);
        await setTimeout(PAUSE * (performance.now() - began), undefined, { signal, ref: false }).catch(() => undefined);
        if (signal.aborted) break;
        began = performance.now();
      }
      if (signal.aborted) break;
    }
    if (Object.values(total).some((count) => count > 0)) logger.info(total, 'old records were removed');
    else logger.debug('no old records were removed');
  }
}
