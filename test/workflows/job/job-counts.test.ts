import { describe, expect, it } from '@jest/globals';
import { JobCounts } from '../../../src/workflows/job/job-counts.ts';

describe('what a job has counted', () => {
  it('is what its steps have counted, also the running ones as far as they have reported', () => {
    const counts = new JobCounts({ tablesScanned: 1 });
    counts.begin('1');
    counts.begin('2');
    counts.report('1', { filesIngested: 5 });
    expect(counts.total).toEqual({ tablesScanned: 1, filesIngested: 5 });
    counts.end('2', { tablesChanged: 1, filesIngested: 2 });
    counts.report('1', { filesIngested: 7 });
    counts.end('1', { filesIngested: 9, snapshotsIngested: 1 });
    expect(counts.total).toEqual({ tablesScanned: 1, tablesChanged: 1, filesIngested: 11, snapshotsIngested: 1 });
  });

  it('ignores reports of steps that have ended or never began', () => {
    const counts = new JobCounts();
    counts.begin('1');
    counts.end('1', { filesIngested: 2 });
    counts.report('1', { filesIngested: 5 });
    counts.report('9', { filesIngested: 5 });
    expect(counts.total).toEqual({ filesIngested: 2 });
  });

  it('keeps what a step did that fails afterwards, but not its tables, which run by themselves', () => {
    const counts = new JobCounts();
    counts.begin('pack');
    counts.report('pack', { tablesChanged: 3, tablesUnchanged: 1, snapshotsIngested: 4, filesIngested: 9 });
    counts.end('pack');
    expect(counts.total).toEqual({ snapshotsIngested: 4, filesIngested: 9 });
    counts.begin('page');
    counts.report('page', { tablesScanned: 9, tablesFiltered: 3, namespacesFiltered: 2, upstreamRequests: 7 });
    counts.end('page');
    expect(counts.total).toEqual({ snapshotsIngested: 4, filesIngested: 9, upstreamRequests: 7 });
  });

  it('never falls when a worker dies and the next attempt finds its tables unchanged', () => {
    const counts = new JobCounts();
    counts.begin('pack');
    const seen: number[][] = [];
    const see = () => seen.push([counts.total.tablesChanged ?? 0, counts.total.tablesUnchanged ?? 0]);
    counts.report('pack', { tablesChanged: 10, tablesUnchanged: 2, snapshotsIngested: 10 });
    see();
    // The next attempt resumes where the last heartbeat was: after six tables.
    counts.report('pack', { tablesChanged: 5, tablesUnchanged: 4, snapshotsIngested: 5 });
    see();
    counts.end('pack', { tablesChanged: 13, tablesUnchanged: 7, snapshotsIngested: 13 });
    see();
    expect(seen).toEqual([
      [10, 2],
      [10, 2],
      [13, 7],
    ]);
    expect(counts.total.snapshotsIngested).toBe(13);
  });

  it('counts no table twice if the outcome knows less than a report', () => {
    const counts = new JobCounts();
    counts.begin('pack');
    counts.report('pack', { tablesChanged: 12 });
    counts.end('pack', { tablesChanged: 9, tablesUnchanged: 11 });
    expect(counts.total).toEqual({ tablesChanged: 12, tablesUnchanged: 8 });
  });
});
