import { expect, it } from '@jest/globals';
import { validateRequest } from '../../src/workflows/validate-request.ts';

const ids = Array.from({ length: 1_000 }, (_, i) => String(9_000_000_000_000_000_000n + BigInt(i)));

it.each<[string, object]>([
  ['a connector', { connector: 'demo' }],
  ['as many snapshots as may be', { connector: 'demo', snapshots: { kind: 'EXPLICIT', snapshotIds: ids } }],
])('takes %s', (_, request) => expect(() => validateRequest(request)).not.toThrow());

it.each<[string, unknown, string]>([
  ['no input', undefined, 'it is undefined and not an object'],
  ['a text', 'demo', 'it is "demo" and not an object'],
  ['no connector', { full: true }, "the key 'connector' is missing"],
  [
    'a key that is not known',
    { connector: 'demo', fullRescan: true },
    "the key 'fullRescan' is unknown; the known ones are connector, connectorName, full, scope",
  ],
  [
    'a key of the scope that is not known',
    { connector: 'demo', scope: { tabel: 'x' } },
    "the key 'scope.tabel' is unknown; the known ones are namespaces, table, columns",
  ],
  [
    'a key of the selection that is not known',
    { connector: 'demo', snapshots: { kind: 'ALL', branch: ['main'] } },
    "the key 'snapshots.branch' is unknown; the known ones are kind, latest, snapshotIds, branches",
  ],
  ['a key of every object', { connector: 'demo', toString: true }, "the key 'toString' is unknown"],
  ['a wrong value', { connector: 'demo', full: 'yes' }, `the key 'full' is "yes"; it must be true or false`],
  ['an empty connector', { connector: '' }, `the key 'connector' is ""; it must be a text that is not empty`],
  ['a wrong mode', { connector: 'demo', mode: 'FULL' }, `'mode' is "FULL"; it must be one of METADATA_AND_CAPTURE`],
  ['a scope that is no object', { connector: 'demo', scope: ['x'] }, `'scope' is ["x"]; it must be an object`],
  ['a selection without a kind', { connector: 'demo', snapshots: {} }, "the key 'snapshots.kind' is missing"],
  [
    'a selection without a number',
    { connector: 'demo', snapshots: { kind: 'LATEST_N' } },
    "the key 'snapshots.latest' is missing, which LATEST_N needs",
  ],
  [
    'a selection without ids',
    { connector: 'demo', snapshots: { kind: 'EXPLICIT', snapshotIds: [] } },
    "the key 'snapshots.snapshotIds' is missing or empty, which EXPLICIT needs",
  ],
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
