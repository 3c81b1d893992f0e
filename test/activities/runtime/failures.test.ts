import { describe, expect, it } from '@jest/globals';
import type { ApplicationFailure } from '@temporalio/common';
import { ClientError, Status } from 'nice-grpc';
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

  it('waits while the catalog does not accept the token of the worker, but not for an upstream that rejects its credentials', () => {
    const of = (error: Error) => toFailure(error, 99, 5) as ApplicationFailure;
    const refused = of(new ClientError('/reconciler.v1.Tables/GetTable', Status.UNAUTHENTICATED, 'it was revoked'));
    expect(refused).toMatchObject({ type: 'UNAUTHENTICATED', nonRetryable: false });
    expect(refused.message).toBe('The catalog service does not accept the token of the worker: it was revoked');
    expect(of(new CodedError('UNAUTHENTICATED', 'wrong password'))).toMatchObject({ nonRetryable: true });
  });
});
