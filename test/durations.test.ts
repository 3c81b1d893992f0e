import { expect, it } from '@jest/globals';
import { durationSeconds, toDuration } from '../src/durations.ts';

it.each([
  [0, 0n, 0],
  [0.25, 0n, 250_000_000],
  [90, 90n, 0],
  [1.9996, 2n, 0],
])('%d seconds are a valid duration, rounded to the millisecond', (seconds, whole, nanos) => {
  expect(toDuration(seconds)).toEqual({ seconds: whole, nanos });
  expect(durationSeconds(toDuration(seconds))).toBeCloseTo(seconds, 2);
});

it('an absent duration is 0', () => {
  expect(durationSeconds(undefined)).toBe(0);
});
