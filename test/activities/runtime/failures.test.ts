import { describe, expect, it } from '@jest/globals';
import type { ApplicationFailure } from '@temporalio/common';
import { toFailure } from '../../../src/activities/runtime/failures.ts';
import { CodedError } from '../../../src/errors.ts';

describe('toFailure', () => {
  it.each([
    [1_000, 1_000],
    [99_999_999_000, 600_000],
    [undefined, undefined],
  ])('for an upstream that asks for a delay of %s ms delays the retry by %s ms', (retryAfterMs, wait) => {
    const failure = toFailure(new CodedError('RESOURCE_EXHAUSTED', 'slow down', { retryAfterMs }), 1, 5);
    expect((failure as ApplicationFailure).nextRetryDelay).toBe(wait);
  });
});
