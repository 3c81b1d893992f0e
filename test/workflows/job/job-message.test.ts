import { describe, expect, it } from '@jest/globals';
import type { Counters, Progress, TableFailure } from '../../../src/contract/job.ts';
import { jobMessage } from '../../../src/workflows/job/job-message.ts';
import { newProgress } from '../../synthetic/new-progress.ts';

const failure = (table: string, message: string): TableFailure => ({ table, code: 'X', message, failedAtMs: 0 });

/** @param progress the job's state and phase, and its counters beside them */
function messageOf(
  { state = 'JS_RUNNING', phase = '', ...counters }: Partial<Pick<Progress, 'state' | 'phase'>> & Counters,
  { failures = [] as TableFailure[], dryRun = false, restoredAtMs = undefined as number | undefined } = {},
): string {
  const request = { connector: 'lake', dryRun };
  return jobMessage(request, { ...newProgress(), state, phase, counters }, failures, restoredAtMs);
}

it('is the phase while the job has not ended', () => {
  expect(messageOf({ state: 'JS_RUNNING', phase: 'scanning' })).toBe('scanning');
});

describe('of a job that succeeded', () => {
  it.each<[string, Counters]>([
    ['Nothing changed: 1 table', { tablesUnchanged: 1 }],
    ['Nothing changed: 2 tables, 3 views', { tablesUnchanged: 2, viewsScanned: 3 }],
    ['1 table changed, 4 unchanged', { tablesChanged: 1, tablesUnchanged: 4, viewsScanned: 3 }],
    ['0 tables changed, 4 unchanged, 2 views changed', { tablesUnchanged: 4, viewsScanned: 3, viewsChanged: 2 }],
    ['Nothing changed: 1 table, 3 gone upstream', { tablesUnchanged: 1, tablesMissing: 2, viewsMissing: 1 }],
    [
      'Nothing changed: 1 table; dropped 2 tables and 1 view and 3 expired snapshots',
      { tablesUnchanged: 1, tablesDropped: 2, viewsDropped: 1, snapshotsDropped: 3 },
    ],
  ])('%s', (message, progress) => expect(messageOf({ ...progress, state: 'JS_SUCCEEDED' })).toBe(message));
});

describe('of a job that failed', () => {
  const failed = (errors: number, ...failures: TableFailure[]) =>
    messageOf({ state: 'JS_FAILED', errors }, { failures });

  it('is partial if only tables, views and namespaces failed', () => {
    expect(failed(1, failure('sales.a', 'truncated'))).toBe('Partial failure (1): sales.a: truncated');
    expect(failed(1, failure('', 'no catalog'))).toBe('Failed: no catalog');
    expect(failed(2, failure('', 'no catalog'), failure('sales.a', 'truncated'))).toBe(
      'Failed: no catalog; sales.a: truncated',
    );
  });

  it('names three causes, each bounded, and counts the others', () => {
    const failures = ['a', 'b', 'c', 'd'].map((table) => failure(table, 'x'.repeat(1_000)));
    const message = failed(60, ...failures);
    expect(message).toMatch(/^Partial failure \(60\): a: x+…; b: x+…; c: x+…; and 57 more$/);
    expect(message.length).toBeLessThan(1_000);
  });
});

it('of a job that was cancelled says what stays', () => {
  expect(messageOf({ state: 'JS_CANCELLED', tablesChanged: 2 })).toBe(
    'Cancelled after 2 changed tables; what was ingested is kept',
  );
});

describe('of a dry run', () => {
  const dryRun = (progress: Parameters<typeof messageOf>[0]) => messageOf(progress, { dryRun: true });

  it('says what would happen', () => {
    expect(dryRun({ state: 'JS_SUCCEEDED' })).toBe('Dry run: nothing would change');
    expect(
      dryRun({ state: 'JS_SUCCEEDED', tablesChanged: 2, viewsChanged: 1, viewsMissing: 1, tablesDropped: 1 }),
    ).toBe('Dry run: 2 tables and 1 view would change, 1 view would be missing, 1 table would be dropped');
  });

  it('says that it is one in every state', () => {
    expect(dryRun({ state: 'JS_RUNNING', phase: 'scanning' })).toBe('Dry run: scanning');
    expect(dryRun({ state: 'JS_CANCELLED' })).toBe('Dry run: cancelled; its list has what it found until then');
    expect(messageOf({ state: 'JS_FAILED', errors: 1 }, { dryRun: true, failures: [failure('a', 'bad')] })).toBe(
      'Dry run: Partial failure (1): a: bad',
    );
  });
});

describe('of a job that verifies everything, since the catalog was restored', () => {
  const restoredAtMs = Date.UTC(2026, 10, 30, 12, 18, 22, 345);
  const end = '; verified in full, since the catalog was restored from a backup (2026-11-30T12:18:22Z)';

  it('says so if it went through', () => {
    const succeeded = { state: 'JS_SUCCEEDED', tablesUnchanged: 2 } as const;
    expect(messageOf(succeeded, { restoredAtMs })).toBe(`Nothing changed: 2 tables${end}`);
    expect(messageOf(succeeded, { restoredAtMs, dryRun: true })).toBe(`Dry run: nothing would change${end}`);
    const failures = [failure('sales.a', 'truncated')];
    expect(messageOf({ state: 'JS_FAILED', errors: 1 }, { failures, restoredAtMs })).toBe(
      `Partial failure (1): sales.a: truncated${end}`,
    );
  });

  it('does not otherwise', () => {
    const failures = [failure('', 'no catalog')];
    expect(messageOf({ state: 'JS_FAILED', errors: 1 }, { failures, restoredAtMs })).toBe('Failed: no catalog');
    expect(messageOf({ state: 'JS_RUNNING', phase: 'scanning' }, { restoredAtMs })).toBe('scanning');
    expect(messageOf({ state: 'JS_CANCELLED' }, { restoredAtMs })).toMatch(/^Cancelled .* is kept$/);
  });
});

describe('of a job that left versions of Delta tables out', () => {
  const end = '; only the newest 1,000 versions of 2 Delta tables (--snapshots selects others)';

  it('says so, although nobody has left them out', () => {
    const counters = { tablesChanged: 3, tablesCut: 2 };
    expect(messageOf({ state: 'JS_SUCCEEDED', ...counters })).toBe(`3 tables changed, 0 unchanged${end}`);
    expect(messageOf({ state: 'JS_SUCCEEDED', ...counters }, { dryRun: true })).toBe(
      `Dry run: 3 tables would change${end}`,
    );
    const failures = [failure('sales.a', 'truncated')];
    expect(messageOf({ state: 'JS_FAILED', errors: 1, ...counters }, { failures })).toBe(
      `Partial failure (1): sales.a: truncated${end}`,
    );
    expect(messageOf({ state: 'JS_RUNNING', phase: 'scanning', ...counters })).toBe('scanning');
  });
});
