import { expect, it } from '@jest/globals';
import { validateRequest } from '../../src/workflows/validate-request.ts';

const ids = Array.from({ length: 1_000 }, (_, i) => String(9_000_000_000_000_000_000n + BigInt(i)));

it.each<[string, object]>([
  ['a connector', { connector: 'demo' }],
  ['as many snapshots as may be', { connector: 'demo', snapshots: { kind: 'EXPLICIT', snapshotIds: ids } }],
])('takes %s', (_, request) => expect(() => validateRequest(request)).not.toThrow());

it.each<[string, unknown, string]>([
  ['no input', undefined, 'the input is invalid in null'],
  ['a key that is not known', { connector: 'demo', ful: true }, 'ful is invalid'],
  ['what is too long for the inputs of activities', { connector: 'x'.repeat(70_000) }, 'at most 65536 are allowed'],
  ['what is too long in bytes', { connector: 'é'.repeat(40_000) }, 'the request has 800'],
  [
    'snapshots without end',
    { connector: 'demo', snapshots: { kind: 'EXPLICIT', snapshotIds: Array(50).fill(ids).flat() } },
    'at most 65536 are allowed',
  ],
])('refuses %s', (_, request, message) => {
  expect(() => validateRequest(request)).toThrow(
    expect.objectContaining({
      type: 'INVALID_ARGUMENT',
      nonRetryable: true,
      message: expect.stringContaining(message),
    }),
  );
});
