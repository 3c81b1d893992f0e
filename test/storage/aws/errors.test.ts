import { expect, it } from '@jest/globals';
import { awsError } from '../../../src/storage/aws/errors.ts';

// The SDK itself waits for some seconds at each of its attempts where a server asks for it: so without one.
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
