import { expect, it } from '@jest/globals';
import { awsError } from '../../../src/storage/aws/errors.ts';

// Tested without a server, because the SDK itself waits for the Retry-After at each attempt.
it.each([
  ['2', 2_000],
  ['99999999', 600_000],
  ['Fri, 31 Dec 9999 23:59:59 GMT', 600_000],
  ['soon', undefined],
])('a Retry-After of %s is %s ms', (header, ms) => {
  const error = {
    name: 'SlowDown',
    $metadata: { httpStatusCode: 503 },
    $response: { headers: { 'retry-after': header } },
  };
  const { code, retryAfterMs } = awsError(error, { failed: 'cannot read', where: 'S3', credentials: 'keys' });
  expect([code, retryAfterMs]).toEqual(['RESOURCE_EXHAUSTED', ms]);
});
