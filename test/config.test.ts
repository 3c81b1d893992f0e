import { describe, expect, it } from '@jest/globals';
import { readConfig } from '../src/config.ts';
import { DAY, HOUR } from './catalog/machine-clock.ts';

describe('RECONCILER_RETENTION_…', () => {
  it('have defaults', () => {
    const retention = {
      jobsMs: 90 * DAY,
      reportsMs: 14 * DAY,
      idempotencyKeysMs: 7 * DAY,
      stagesMs: 7 * DAY,
      auditMs: 400 * DAY,
    };
    expect(readConfig({}).retention).toEqual(retention);
  });

  it.each([
    ['36h', 36 * HOUR],
    ['400d', 400 * DAY],
    ['never', undefined],
    ['0', undefined],
  ])('can be %s', (text, jobsMs) => {
    expect(readConfig({ RECONCILER_RETENTION_JOBS: text }).retention.jobsMs).toBe(jobsMs);
  });

  it.each(['90', '1w', '-1d', '0.5h', '', '0d', 'forever'])("cannot be '%s'", (text) => {
    expect(() => readConfig({ RECONCILER_RETENTION_STAGES: text })).toThrow(
      `RECONCILER_RETENTION_STAGES=${text} is not a number of hours or days, such as 36h or 90d, or never. Correct it or unset it.`,
    );
  });
});
