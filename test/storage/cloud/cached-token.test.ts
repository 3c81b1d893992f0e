import { afterEach, beforeEach, expect, it, jest } from '@jest/globals';
import { cachedToken, type Token } from '../../../src/storage/cloud/credentials.ts';
import { fakeOnly } from '../../jest/fake-timers.ts';

const START = Date.parse('2026-11-30T12:00:00Z');
const HOUR = 3_600_000;

beforeEach(() => fakeOnly(['Date', 'performance'], { now: START }));
afterEach(() => void jest.useRealTimers());

/** Returns these one after the other; errors are thrown. */
function source(...results: (Token | Error)[]) {
  return jest.fn(async () => {
    const result = results.shift() as Token | Error;
    if (result instanceof Error) throw result;
    return result;
  });
}
const token = (value: string, expiresAt: number): Token => ({ value, expiresAt });

it('is kept until it nears its end, and requested once for all callers', async () => {
  const read = source(token('one', START + HOUR), token('two', START + 3 * HOUR));
  const { current } = cachedToken('it', read);
  expect(await Promise.all([current(), current()])).toMatchObject([{ value: 'one' }, { value: 'one' }]);
  jest.advanceTimersByTime(HOUR - 226_000);
  expect(await current()).toMatchObject({ value: 'one' });
  expect(read).toHaveBeenCalledTimes(1);
  jest.advanceTimersByTime(2_000);
  expect(await current()).toMatchObject({ value: 'two' });
});

it('is kept while it is valid if it cannot be renewed, and renewed no more than every ten seconds', async () => {
  const read = source(token('one', START + HOUR), new Error('away'), token('two', START + 3 * HOUR));
  const { current } = cachedToken('it', read);
  await current();
  jest.advanceTimersByTime(HOUR - 100_000);
  expect(await current()).toMatchObject({ value: 'one' });
  jest.advanceTimersByTime(5_000);
  expect(await current()).toMatchObject({ value: 'one' });
  expect(read).toHaveBeenCalledTimes(2);
  jest.advanceTimersByTime(6_000);
  expect(await current()).toMatchObject({ value: 'two' });
});

it('is not used after its end', async () => {
  const { current } = cachedToken('it', source(token('one', START + HOUR), new Error('away')));
  await current();
  jest.advanceTimersByTime(HOUR);
  await expect(current()).rejects.toThrow('away');
});

it('is replaced when it was refused, unless it is new', async () => {
  const read = source(token('one', START + HOUR), token('two', START + 2 * HOUR));
  const { current, renew } = cachedToken('it', read);
  const one = await current();
  expect(await renew(one)).toBe(false);
  jest.advanceTimersByTime(6_000);
  expect(await renew(one)).toBe(true);
  expect(await current()).toMatchObject({ value: 'two' });
  // Another request with the same one needs no further renewal.
  expect(await renew(one)).toBe(true);
  expect(read).toHaveBeenCalledTimes(2);
});
