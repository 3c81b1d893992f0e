import { AsyncLocalStorage } from 'node:async_hooks';
import { setMaxListeners } from 'node:events';
import { setTimeout as setTimeoutPromise } from 'node:timers/promises';
import { activityInfo, cancellationSignal, heartbeat } from '@temporalio/activity';
import { CodedError } from '../../errors.ts';

/** Below the heartbeat timeout of 60 s, so that a stall ends with a message that names what stalled. */
const STALL_MS = 50_000;
/** Minimum time between heartbeats: each costs a message to the SDK's core, and only the last one counts. */
const MIN_INTERVAL_MS = 200;
/**
 * The last heartbeat is repeated at this interval, so that a cancellation is noticed even without progress. It does not reset the watchdog.
 */
const REPEAT_MS = 3_000;
/** How long an activity that was cancelled or stalled waits for its work to stop. */
const STOPPING_MS = 5_000;

/** Reports progress to Temporal, or to nobody if the work runs outside an activity. */
export interface Heartbeat {
  /** Reports progress. `details` reach the next attempt and the job's live counters. */
  beat(details?: unknown): void;
  /** Aborts when the work is cancelled or has stalled. */
  readonly signal: AbortSignal;
}

/** The current activity, for code below it that has no heartbeat. */
interface ActivityScope {
  /** Reports a wait with a known end, which is not a stall. Repeats the details of the last heartbeat. */
  keepAlive(): void;
  readonly signal: AbortSignal;
}

const scopes = new AsyncLocalStorage<ActivityScope>();

/** The activity whose work calls this; undefined outside an activity. */
export const currentActivity = (): ActivityScope | undefined => scopes.getStore();

/**
 * Runs an activity's work with heartbeats on progress. A watchdog ends it after 50 s without progress.
 *
 * @throws CodedError DEADLINE_EXCEEDED if it stalled; CancelledFailure if it was cancelled
 */
export async function withHeartbeat<T>(what: string, work: (heartbeat: Heartbeat) => Promise<T>): Promise<T> {
  const stopping = new AbortController();
  const cancelled = cancellationSignal();
  let timer: NodeJS.Timeout | undefined;
  let over = false;
  let working: Promise<T> | undefined;
  let last: { details: unknown; sent: boolean } | undefined;
  let sentAt = 0;
  const arm = () => {
    clearTimeout(timer);
    // An abandoned stream may still be read for a moment.
    if (over) return;
    timer = setTimeout(
      () =>
        stopping.abort(new CodedError('DEADLINE_EXCEEDED', `${what}: nothing progressed for ${STALL_MS / 1000} s.`)),
      STALL_MS,
    );
  };
  // Not `AbortSignal.any`: Node keeps such a signal in memory for as long as anything listens to it.
  const { signal } = stopping;
  if (cancelled.aborted) stopping.abort(cancelled.reason);
  else cancelled.addEventListener('abort', () => stopping.abort(cancelled.reason), { once: true });
  // Every waiting request listens.
  setMaxListeners(0, signal);
  const ended = new Promise<never>((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
  arm();
  const repeating = setInterval(() => {
    if (Date.now() - sentAt >= REPEAT_MS) heartbeat(last ? last.details : activityInfo().heartbeatDetails);
  }, REPEAT_MS);
  try {
    const beat = (details?: unknown) => {
      const now = Date.now();
      last = { details, sent: now - sentAt >= MIN_INTERVAL_MS };
      if (over || !last.sent) return;
      sentAt = now;
      arm();
      heartbeat(details);
    };
    // Work that ignores the signal (a read that hangs) must not block the activity.
    const keepAlive = () => beat(last ? last.details : activityInfo().heartbeatDetails);
    working = scopes.run({ keepAlive, signal }, () => work({ beat, signal }));
    return await Promise.race([working, ended]);
  } catch (error) {
    // The next attempt continues from here.
    if (last && !last.sent) heartbeat(last.details);
    // Writes in progress must have stopped before the next attempt begins; a read that hangs is not waited for.
    if (signal.aborted) await Promise.race([working?.catch(() => {}), setTimeoutPromise(STOPPING_MS)]);
    // An abort surfaces as whatever the interrupted call throws; the signal's reason states what happened.
    throw signal.aborted ? signal.reason : error;
  } finally {
    over = true;
    clearTimeout(timer);
    clearInterval(repeating);
    ended.catch(() => {});
  }
}
