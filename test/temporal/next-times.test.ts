import { expect, it } from '@jest/globals';
import { nextTimes } from '../../src/temporal/next-times.ts';

const next = (cron: string[], timeZone: string, after: string, count = 3) =>
  nextTimes(cron, timeZone, new Date(after), count).map((time) => time.toISOString().slice(0, 16));

it('lists the times of all expressions together', () => {
  expect(next(['0 6 * * *', '0 18 * * *'], '', '2026-05-01T06:00:00Z', 4)).toEqual([
    '2026-05-01T18:00',
    '2026-05-02T06:00',
    '2026-05-02T18:00',
    '2026-05-03T06:00',
  ]);
  expect(next(['@monthly', '0 0 1 * *'], 'UTC', '2026-11-15T00:00:00Z')).toEqual([
    '2026-12-01T00:00',
    '2027-01-01T00:00',
    '2027-02-01T00:00',
  ]);
});

it('follows the time zone, also when its clocks change', () => {
  expect(next(['30 7 * * *'], 'America/New_York', '2026-03-06T20:00:00Z')).toEqual([
    '2026-03-07T12:30',
    // Daylight saving time began on 8 March.
    '2026-03-08T11:30',
    '2026-03-09T11:30',
  ]);
});

it('requires both the day of the month and the day of the week, as Temporal does', () => {
  // Fridays that are the 13th.
  expect(next(['0 0 13 * fri'], '', '2026-01-01T00:00:00Z')).toEqual([
    '2026-02-13T00:00',
    '2026-03-13T00:00',
    '2026-11-13T00:00',
  ]);
});

it('lists nothing for a date that does not exist', () => {
  expect(next(['0 0 31 2 *'], '', '2026-01-01T00:00:00Z')).toEqual([]);
});
