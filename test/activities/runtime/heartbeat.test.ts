import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterEach, describe, expect, it, jest } from '@jest/globals';
import { type Heartbeat, withHeartbeat } from '../../../src/activities/runtime/heartbeat.ts';
import { ProgressReports, type SendReport } from '../../../src/activities/runtime/progress-reports.ts';
import { inWorker, type WorkerContext } from '../../../src/activities/runtime/worker-context.ts';
import { CodedError } from '../../../src/errors.ts';
import { fakeOnly } from '../../jest/fake-timers.ts';
import { environment, run } from '../run-activity.ts';

setFlagsFromString('--expose-gc');
const collectGarbage: () => void = runInNewContext('gc');

it('keeps nothing of an activity that has ended in memory', async () => {
  const signals: WeakRef<AbortSignal>[] = [];
  for (let i = 0; i < 20; i++) await runOnce((signal) => signals.push(new WeakRef(signal)));
  // A weak reference is kept until the current turn of the event loop ends.
  await new Promise((resolve) => setTimeout(resolve, 10));
  collectGarbage();
  // The last one may still be on the stack.
  expect(signals.filter((signal) => signal.deref()).length).toBeLessThan(3);
});

it('ends the work when the activity is cancelled, with the reason of the cancellation', async () => {
  const env = environment();
  let reason: unknown;
  const cancelled = env.run(() =>
    withHeartbeat('work', {}, async ({ signal }) => {
      env.cancel('CANCELLED');
      reason = signal.reason;
      signal.throwIfAborted();
    }),
  );
  await expect(cancelled).rejects.toThrow('CANCELLED');
  expect(reason).toMatchObject({ name: 'CancelledFailure' });
});

describe('heartbeats', () => {
  afterEach(() => void jest.useRealTimers());

  /** Runs work on a fake clock. @returns its outcome, and the heartbeats with their times since it began */
  async function watch(
    work: (heartbeat: Heartbeat) => Promise<unknown>,
    { options = {}, context = {} }: { options?: object; context?: Partial<WorkerContext> } = {},
  ) {
    fakeOnly(['Date', 'setInterval', 'clearInterval', 'setTimeout', 'clearTimeout']);
    const env = environment({ heartbeatDetails: 'earlier' });
    const began = Date.now();
    const sent: [ms: number, details: unknown][] = [];
    env.on('heartbeat', (details) => sent.push([Date.now() - began, details]));
    const activity = () => withHeartbeat('the work', options, work);
    const [outcome] = await Promise.allSettled([
      env.run(() => inWorker({ heartbeatMs: 10_000, ...context }, activity)),
    ]);
    return { outcome, sent, times: sent.map(([ms]) => ms) };
  }

  const files = (filesIngested: number) => ({ counts: { filesIngested } });

  /** Reports progress ten times per second. */
  async function busy({ beat }: Heartbeat, seconds: number): Promise<void> {
    for (let i = 1; i <= seconds * 10; i++) {
      beat(files(i));
      jest.advanceTimersByTime(100);
    }
  }

  it('are sent first after five seconds, and then once per interval, with the latest details', async () => {
    const { sent } = await watch((heartbeat) => busy(heartbeat, 36));
    expect(sent).toEqual([5, 15, 25, 35].map((second) => [second * 1000, files(second * 10)]));
  });

  it('are sent earlier if the worker sends them more often', async () => {
    const { times } = await watch((heartbeat) => busy(heartbeat, 7), { context: { heartbeatMs: 2_000 } });
    expect(times).toEqual([2_000, 4_000, 6_000]);
  });

  it('are not sent by work that ends sooner', async () => {
    expect((await watch((heartbeat) => busy(heartbeat, 4))).sent).toEqual([]);
  });

  it('repeat the last details without progress, at first those of the last attempt', async () => {
    const { sent } = await watch(async ({ beat }) => {
      jest.advanceTimersByTime(16_000);
      beat(files(1));
      jest.advanceTimersByTime(20_000);
    });
    expect(sent).toEqual([
      [5_000, 'earlier'],
      [15_000, 'earlier'],
      [25_000, files(1)],
      [35_000, files(1)],
    ]);
  });

  it('bring the latest details of an attempt that fails to the next one', async () => {
    const { sent, outcome } = await watch(async (heartbeat) => {
      await busy(heartbeat, 6);
      throw new CodedError('UNAVAILABLE', 'cut');
    });
    expect(outcome).toMatchObject({ reason: { message: 'cut' } });
    expect(sent).toEqual([
      [5_000, files(50)],
      [6_000, files(60)],
    ]);
  });

  it('are not repeated when an attempt fails, if there is nothing new', async () => {
    const { times } = await watch(async (heartbeat) => {
      await busy(heartbeat, 5);
      throw new CodedError('UNAVAILABLE', 'cut');
    });
    expect(times).toEqual([5_000]);
  });

  it('end with an error that names the work if it stalls, however long it has worked', async () => {
    const { outcome, sent } = await watch(async (heartbeat) => {
      await busy(heartbeat, 120);
      jest.advanceTimersByTime(49_000);
      expect(heartbeat.signal.aborted).toBe(false);
      heartbeat.beat(files(0));
      jest.advanceTimersByTime(50_000);
      return new Promise(() => {});
    });
    expect(outcome).toMatchObject({
      reason: { code: 'DEADLINE_EXCEEDED', message: 'the work: nothing progressed for 50 s.' },
    });
    expect(sent.at(-1)?.[1]).toEqual(files(0));
  }, 20_000);

  it('tell the work when its slice is over', async () => {
    const over: unknown[] = [];
    const work = async ({ isOver }: Heartbeat) => {
      jest.advanceTimersByTime(59_900);
      over.push(isOver?.());
      jest.advanceTimersByTime(100);
      over.push(isOver?.());
    };
    await watch(({ beat, ...others }) => work({ ...others, beat }), { options: { sliceSeconds: 60 } });
    expect(over).toEqual([false, true]);
    await watch(async ({ isOver }) => over.push(isOver));
    expect(over.at(-1)).toBeUndefined();
  });

  it('let a part of the work that begins at the end of its slice go on for five seconds', async () => {
    const over: unknown[] = [];
    const work = async ({ isOver }: Heartbeat) => {
      jest.advanceTimersByTime(59_000);
      const since = Date.now();
      jest.advanceTimersByTime(4_900);
      over.push(isOver?.(), isOver?.(since));
      jest.advanceTimersByTime(100);
      over.push(isOver?.(since));
    };
    await watch(work, { options: { sliceSeconds: 60 } });
    expect(over).toEqual([true, false, true]);
  });

  it('report what a long step has counted, until it ends', async () => {
    const send = jest.fn<SendReport>(async () => {});
    const context = { reports: new ProgressReports(send) };
    await watch((heartbeat) => busy(heartbeat, 10), { options: { step: 's1' }, context });
    const { workflowExecution = {} } = environment().context.info;
    expect(send).toHaveBeenCalledTimes(1);
    expect(send).toHaveBeenCalledWith(expect.objectContaining(workflowExecution), {
      s1: { filesIngested: expect.any(Number) },
    });
    jest.advanceTimersByTime(60_000);
    expect(send).toHaveBeenCalledTimes(1);
    expect(jest.getTimerCount()).toBe(0);
    // A step without a name is not reported.
    await watch((heartbeat) => busy(heartbeat, 30), { context });
    expect(send).toHaveBeenCalledTimes(1);
  });
});

async function runOnce(see: (signal: AbortSignal) => void): Promise<void> {
  await run(() =>
    withHeartbeat('work', {}, async ({ signal }) => {
      see(signal);
      // A listener that is never removed.
      signal.addEventListener('abort', () => {});
    }),
  );
}
