import { afterEach, beforeEach, expect, it, jest } from '@jest/globals';
import { Rereadable } from '../../src/storage/rereadable.ts';

beforeEach(() => void jest.useFakeTimers({ doNotFake: ['nextTick', 'queueMicrotask'] }));
afterEach(() => void jest.useRealTimers());

it('reads once for concurrent calls, and keeps the object if the value is equal', async () => {
  let value = 'a';
  const read = jest.fn(async () => ({ value }));
  const held = new Rereadable(read);
  expect(held.value).toBeUndefined();
  const [first, same] = await Promise.all([held.reread(), held.reread()]);
  expect(same).toBe(first);
  expect(read).toHaveBeenCalledTimes(1);
  expect(await held.reread()).toBe(first);
  value = 'b';
  expect(await held.reread()).toEqual({ value: 'b' });
  expect(held.value).not.toBe(first);
});

it('renews a value that was refused, and reads no sooner than five seconds after a read in vain', async () => {
  let [reads, n] = [0, 1];
  const read = async () => {
    reads++;
    return { n };
  };
  const held = new Rereadable(read, { n: 0 });
  const old = held.value!;
  expect(await Promise.all([held.renew(old), held.renew(old), held.renew(old)])).toEqual([true, true, true]);
  expect(await held.renew(old)).toBe(true);
  expect(reads).toBe(1);
  // The new one is refused as well.
  const next = held.value!;
  expect(await held.renew(next)).toBe(false);
  n = 2;
  expect(await held.renew(next)).toBe(false);
  expect(reads).toBe(2);
  jest.advanceTimersByTime(5_000);
  expect(await held.renew(next)).toBe(true);
  expect(reads).toBe(3);
});

it('reports a refused value as it is if it has not changed or cannot be read', async () => {
  let error: Error | undefined;
  const held = new Rereadable(
    async () => {
      if (error) throw error;
      return { n: 1 };
    },
    { n: 1 },
  );
  expect(await held.renew(held.value!)).toBe(false);
  jest.advanceTimersByTime(5_000);
  error = new Error('the file is gone');
  expect(await held.renew(held.value!)).toBe(false);
  expect(held.value).toEqual({ n: 1 });
});
