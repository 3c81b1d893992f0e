import { expect, it } from '@jest/globals';
import type { ReconcileRequest } from '../../src/contract/job.ts';
import { nothingFound } from '../../src/workflows/nothing-found.ts';

it.each<[string, Partial<ReconcileRequest>, number, string]>([
  ['the upstream is empty', {}, 0, 'No table found. Check the URI'],
  ['the patterns take none', {}, 3, 'take none of the 3 upstream tables'],
  ['the catalog has none', { mode: 'CAPTURE_ONLY' }, 3, 'has none of the 3 upstream tables'],
  ['none is in the scope', { scope: { table: 'orders' } }, 3, '{"table":"orders"}'],
  ['what failed is not taken any more', { retryOf: 'job-1' }, 3, 'Nothing that failed in job job-1'],
])('says that %s', (_, request, filtered, message) => {
  expect(nothingFound({ connector: 'lake', ...request }, filtered)).toContain(message);
});
