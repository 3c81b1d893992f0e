import { expect, it } from '@jest/globals';
import type { Counters, ReconcileRequest } from '../../src/contract/job.ts';
import { nothingFound } from '../../src/workflows/nothing-found.ts';

it.each<[string, Partial<ReconcileRequest>, Counters, string]>([
  ['the upstream is empty', {}, {}, 'No table found. Check the URI'],
  ['the patterns take none', {}, { tablesFiltered: 3 }, 'include no table: they leave out 3 tables.'],
  ['the patterns take no namespace', {}, { namespacesFiltered: 1 }, 'include no table: they leave out 1 namespace.'],
  [
    'the patterns take none of a namespace',
    {},
    { tablesFiltered: 3, namespacesFiltered: 12 },
    'leave out 3 tables and 12 namespaces.',
  ],
  [
    'the patterns leave the catalog none',
    { mode: 'CAPTURE_ONLY' },
    { namespacesFiltered: 2 },
    'leave out 2 namespaces',
  ],
  ['the catalog has none', { mode: 'CAPTURE_ONLY' }, { tablesFiltered: 3 }, 'has none of the 3 upstream tables'],
  ['none is in the scope', { scope: { table: 'orders' } }, { tablesFiltered: 3 }, '{"table":"orders"}'],
  [
    'what failed is not taken any more',
    { retryOf: 'job-1' },
    { tablesFiltered: 3 },
    'no longer includes anything that failed in job job-1',
  ],
])('says that %s', (_, request, counters, message) => {
  expect(nothingFound({ connector: 'lake', ...request }, counters)).toContain(message);
});
