import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, it } from '@jest/globals';
import { withHeartbeat } from '../../../src/activities/runtime/heartbeat.ts';
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

async function runOnce(see: (signal: AbortSignal) => void): Promise<void> {
  await run(() =>
    withHeartbeat('work', {}, async ({ signal }) => {
      see(signal);
      // A listener that is never removed.
      signal.addEventListener('abort', () => {});
    }),
  );
}
