import type { Kysely } from 'kysely';
import type { Logger } from 'pino';
import { underClaim } from '../database/claim-fence.ts';
import type { ClockPeriodRow, Schema } from '../database/schema.ts';
import { write } from '../database/transaction.ts';
import { readBootId, uptimeMs } from './boot-time.ts';

/** How often the current period is stored, and the clock is compared if nobody asks for the time. */
const EVERY_MS = 60_000;
/** More than what a time service corrects at once; a clock without one that loses 50 ppm takes two weeks. */
const TOLERANCE_MS = 60_000;

/**
 * The wall clock, compared with the machine's uptime: what is removed after a time must not be removed because the clock jumped.
 *
 * Periods in which both advanced together are stored. Only their length counts as elapsed: neither a jump of the clock nor the time between
 * two boots does, since nothing shows how long that really was. See docs/decisions/gone-upstream.md.
 */
export interface Clock {
  /** The wall clock, in milliseconds since 1970, for timestamps that are compared with `ago`. A jump is noticed and stored before. */
  now(): Promise<number>;
  /** The latest timestamp since which this time has certainly elapsed, in milliseconds since 1970; 0 if there is none. */
  ago(ms: number): Promise<number>;
  stop(): Promise<void>;
}

export async function openClock(db: Kysely<Schema>, logger: Logger): Promise<Clock> {
  const bootId = readBootId();
  const periods: ClockPeriodRow[] = await db.selectFrom('clock_periods').selectAll().orderBy('period_num').execute();
  let [saving, stored] = [Promise.resolve(), periods.length];

  /** Extends the current period, or begins one. @returns the wall clock, and whether a period has begun */
  function look(): { now: number; begun: boolean } {
    const [now, uptime] = [Date.now(), uptimeMs()];
    const last = periods.at(-1);
    const sameBoot = last?.boot_id === bootId;
    const deviation = sameBoot ? now - last.started_at - (uptime - last.uptime_at_start) : 0;
    if (sameBoot && Math.abs(deviation) <= TOLERANCE_MS) {
      last.ended_at = Math.max(last.ended_at, now);
      return { now, begun: false };
    }
    // The time since the last look has elapsed as well, and so has the time of what was stored after the jump and before this look.
    const since = sameBoot ? Math.max(0, uptime - last.uptime_at_start - (last.ended_at - last.started_at)) : 0;
    periods.push({
      period_num: (last?.period_num ?? 0) + 1,
      boot_id: bootId,
      uptime_at_start: uptime - since,
      started_at: now - since,
      ended_at: now,
    });
    if (sameBoot) {
      logger.warn(
        { jumpedSeconds: Math.round(deviation / 1000) },
        'the clock of this machine jumped; what is removed after a time is not removed earlier for it',
      );
    }
    return { now, begun: true };
  }

  /** Stores the period that was stored last, which has become longer, and those that have begun since then. */
  async function store(): Promise<void> {
    const changed = periods.slice(Math.max(0, stored - 1));
    await write(db, async (trx) => {
      for (const period of changed) {
        await trx
          .insertInto('clock_periods')
          .values(period)
          .onConflict((conflict) => conflict.column('period_num').doUpdateSet({ ended_at: period.ended_at }))
          .execute();
      }
    });
    stored = changed.at(-1)?.period_num ?? stored;
  }

  function save(): Promise<void> {
    // The time is the service's, and so is not bound to the claim of the call that asks for it.
    saving = saving.catch(() => undefined).then(() => underClaim(undefined, store));
    return saving;
  }

  async function now(): Promise<number> {
    const { now, begun } = look();
    if (begun) await save();
    return now;
  }

  await now();
  const timer = setInterval(() => {
    look();
    save().catch((err) =>
      logger.warn({ err }, 'the time cannot be stored; what is removed after a time may stay longer'),
    );
  }, EVERY_MS);
  timer.unref();
  return {
    now,

    async ago(ms) {
      const current = await now();
      return ms === 0 ? current : elapsedSince(periods, ms);
    },

    async stop() {
      clearInterval(timer);
      look();
      await save().catch((err) => logger.warn({ err }, 'the time of the stop cannot be stored'));
    },
  };
}

/**
 * The latest timestamp since which the periods have this length. Everything that was stored later has a later timestamp, even if the clock
 * was set back in between: then what carries a time of a later period may be younger than it seems.
 */
function elapsedSince(periods: readonly ClockPeriodRow[], ms: number): number {
  let left = ms;
  let beforeLater = Number.POSITIVE_INFINITY;
  for (const { started_at, ended_at } of periods.toReversed()) {
    if (left <= ended_at - started_at) return Math.min(ended_at - left, beforeLater);
    left -= ended_at - started_at;
    beforeLater = Math.min(beforeLater, started_at - 1);
  }
  return 0;
}
