import { expect, it } from '@jest/globals';
import type { TableFailure } from '../../../src/contract/job.ts';
import { currentDetails } from '../../../src/workflows/job/current-details.ts';
import { newProgress } from '../../synthetic/new-progress.ts';

const failure = (table: string, message = 'bad'): TableFailure => ({
  table,
  code: 'DATA_LOSS',
  message,
  failedAtMs: 0,
});
const details = (progress: object, failures: TableFailure[] = [], connectorName = 'lake', waitsFor?: string) => {
  const job = { id: 'job-1', connectorName, failures, message: 'scanning', waitsFor };
  return currentDetails({ ...job, progress: { ...newProgress(), ...progress } }, 'lakes');
};

it('has the counters, and of views and drops only if there are any', () => {
  const text = details({ state: 'JS_RUNNING', counters: { tablesScanned: 12, filesIngested: 5 } });
  expect(text).toContain('**lake** · JS_RUNNING · scanning');
  expect(text).toContain('**12** scanned');
  expect(text).toContain('**5** file changes');
  expect(text).not.toMatch(/Views|Dropped|Now|Failures/);
  expect(text).toContain(' · 0 filtered · ');
  const filtered = { tablesFiltered: 3, namespacesFiltered: 299 };
  expect(details({ counters: filtered })).toContain(' · 3 filtered (and 299 namespaces) · ');
  expect(details({ counters: { viewsScanned: 3 } })).toContain('Views: **3** scanned · **0** changed');
  expect(details({ counters: { snapshotsDropped: 2 } })).toContain('Dropped: 0 tables · 0 views · 2 snapshots');
});

it('has ten of the tables in flight, and the last ten failures', () => {
  const inFlight = Array.from({ length: 12 }, (_, i) => `t${i}`);
  const failures = Array.from({ length: 50 }, (_, i) => failure(`f${i}`));
  const text = details({ inFlight }, failures);
  expect(text).toContain('t9 and 2 more');
  expect(text).not.toContain('f39');
  expect(text).toContain('- **f40** DATA_LOSS: bad');
  expect(text).toContain('**f49**');
  expect(details({}, [failure('')])).toContain('**the job**');
});

it('renders names and messages as they are, within the limit', () => {
  expect(details({}, [failure('a_b', 'see [here](http://x)\n# now')], '*lake*')).toContain(
    '- **a\\_b** DATA_LOSS: see \\[here\\](http://x) \\# now',
  );
  expect(details({}, [], '*lake*')).toContain('**\\*lake\\***');
  const failures = Array.from({ length: 10 }, () => failure('t'.repeat(500), 'x'.repeat(2_000)));
  expect(details({}, failures).length).toBeLessThanOrEqual(6_000);
});

it('links to the job that is ahead, and to where all failures are', () => {
  expect(details({}, [], 'lake', 'job-0')).toContain('Waits for [job-0](/namespaces/lakes/workflows/job-0)');
  expect(details({})).not.toContain('Waits');
  const text = details({}, [failure('f')]);
  expect(text).toContain('`reconciler job failures job-1`');
  expect(text).toContain('(/namespaces/lakes/workflows/job-1)');
});
