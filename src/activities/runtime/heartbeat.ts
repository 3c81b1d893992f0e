import { AsyncLocalStorage } from 'node:async_hooks';
import { setMaxListeners } from 'node:events';
import { setTimeout as setTimeoutPromise } from 'node:timers/promises';
import { activityInfo, cancellationSignal, heartbeat } from '@temporalio/activity';
import { CodedError } from '../../errors.ts';

/** Below the heartbeat timeout of 60 s, so that a stall ends with a message that says where. */
const STALL_MS = 50_000;
/** Beats in between are kept back: each costs a message to the SDK's core, and the last one counts. */
const BEAT_MS = 200;
/**
 * A heartbeat's answer says that the activity was cancelled: where nothing progresses, the last beat is said again so often. It proves
 * nothing: the watchdog is for progress.
 */
const ASK_MS = 3_000;
/** How long an activity that was ended waits for its work to stop. */
const STOPPING_MS = 5_000;

/** Proof of progress: of an activity to Temporal, or of nothing when the work runs without it. */
export interface Heartbeat {
  /** Something progressed. `details` reach the next attempt and the job's live counters. */
  beat(details?: unknown): void;
  /** Ends the work: cancelled, or stalled. */
  readonly signal: AbortSignal;
}

/** The activity in which something waits that does not know it. */
interface ActivityScope {
  /** It waits for what is known to come: that is no stall. What the last beat said stays. */
  keepAlive(): void;
  readonly signal: AbortSignal;
}

const around = new AsyncLocalStorage<ActivityScope>();

/** The activity whose work calls this; undefined outside of one. */
export const currentActivity = (): ActivityScope | undefined => around.getStore();

/**
 * Runs an activity's work with heartbeats on progress. A watchdog ends it when nothing progressed for 50 s.
 *
 * @throws CodedError DEADLINE_EXCEEDED when it stalled; CancelledFailure when it was cancelled.
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
    // A stream that was given up may still be read for a moment.
    if (over) return;
    timer = setTimeout(
      () =>
        stopping.abort(new CodedError('DEADLINE_EXCEEDED', `${what}: nothing progressed for ${STALL_MS / 1000} s.`)),
      STALL_MS,
    );
  };
  // Not `AbortSignal.any`: Node keeps such a one for ever where somebody still listens to it.
  const { signal } = stopping;
  if (cancelled.aborted) stopping.abort(cancelled.reason);
  else cancelled.addEventListener('abort', () => stopping.abort(cancelled.reason), { once: true });
  // As many may listen as there are requests that wait.
  setMaxListeners(0, signal);
  const ended = new Promise<never>((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
  arm();
  const asking = setInterval(() => {
    if (Date.now() - sentAt >= ASK_MS) heartbeat(last ? last.details : activityInfo().heartbeatDetails);
  }, ASK_MS);
  try {
    const beat = (details?: unknown) => {
      const now = Date.now();
      last = { details, sent: now - sentAt >= BEAT_MS };
      if (over || !last.sent) return;
      sentAt = now;
      arm();
      heartbeat(details);
    };
    // Work that ignores the signal (a read that hangs) must not hold the activity.
    const keepAlive = () => beat(last ? last.details : activityInfo().heartbeatDetails);
    working = around.run({ keepAlive, signal }, () => work({ beat, signal }));
    return await Promise.race([working, ended]);
  } catch (error) {
    // The next attempt goes on from here.
    if (last && !last.sent) heartbeat(last.details);
    // What is under way shall have stopped writing; a read that hangs is not waited for.
    if (signal.aborted) await Promise.race([working?.catch(() => {}), setTimeoutPromise(STOPPING_MS)]);
    // An abort surfaces as whatever the interrupted call throws; the reason is what happened.
    throw signal.aborted ? signal.reason : error;
  } finally {
    over = true;
    clearTimeout(timer);
    clearInterval(asking);
    ended.catch(() => {});
  }
}
