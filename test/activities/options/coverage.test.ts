import { describe, expect, it } from '@jest/globals';
import { optionsFor, resolveCaptureOptions } from '../../../src/activities/options/capture-options.ts';
import { coverageAfter, covers } from '../../../src/activities/options/coverage.ts';
import type { CaptureOptions } from '../../../src/contract/activities.ts';
import type { SnapshotSelection } from '../../../src/contract/job.ts';
import { SnapshotSelectionKind } from '../../../src/generated/reconciler/v1/capture.ts';
import { Connector } from '../../../src/generated/reconciler/v1/connectors.ts';

const ALL: SnapshotSelection = { kind: 'ALL' };
const latest = (count: number, ...branches: string[]): SnapshotSelection => ({
  ...{ kind: 'LATEST_N', latest: count },
  branches,
});
const both = (snapshots: SnapshotSelection): CaptureOptions => ({ snapshots, mode: 'METADATA_AND_CAPTURE' });
const metadata = (snapshots: SnapshotSelection): CaptureOptions => ({ snapshots, mode: 'METADATA_ONLY' });
const files = (snapshots: SnapshotSelection): CaptureOptions => ({ snapshots, mode: 'CAPTURE_ONLY' });

/** The coverage after these jobs, all for the same state of a table. */
function coverageOf(...jobs: [capture: CaptureOptions, leavesFiles?: boolean][]): string {
  let coverage: string | undefined;
  for (const [capture, leavesFiles = false] of jobs) coverage = coverageAfter(coverage, capture, { leavesFiles });
  return coverage as string;
}

describe('coverage', () => {
  it('is empty if everything is in, which is enough for every job', () => {
    expect(coverageOf([both(ALL)])).toBe('');
    for (const capture of [both, metadata, files]) {
      for (const selection of [ALL, latest(1), latest(2, 'main')]) expect(covers('', capture(selection))).toBe(true);
    }
  });

  it('is what the jobs took, and no more', () => {
    const coverage = coverageOf([both(latest(3))]);
    expect(coverage).toBe('snapshots=latest:3 files=latest:3');
    expect([both, metadata, files].map((capture) => covers(coverage, capture(latest(3))))).toEqual([true, true, true]);
    for (const other of [ALL, latest(4), latest(3, 'main')]) expect(covers(coverage, both(other))).toBe(false);
  });

  it('distinguishes snapshots without files', () => {
    const coverage = coverageOf([metadata(ALL), true]);
    expect(covers(coverage, metadata(latest(2)))).toBe(true);
    expect(covers(coverage, both(latest(2)))).toBe(false);
    expect(covers(coverage, files(latest(2)))).toBe(false);
    expect(coverageOf([metadata(ALL), true], [files(ALL)])).toBe('');
    // Only files of the snapshots that are in, which are not all.
    expect(covers(coverageOf([metadata(latest(1)), true], [files(ALL)]), both(ALL))).toBe(false);
    expect(covers(coverageOf([metadata(latest(1)), true], [files(ALL)]), both(latest(1)))).toBe(true);
  });

  it('forgets captured files if snapshots were ingested without files', () => {
    expect(covers(coverageOf([both(latest(1))], [metadata(ALL), true]), files(latest(1)))).toBe(false);
    expect(covers(coverageOf([both(latest(1))], [metadata(latest(1)), false]), files(latest(1)))).toBe(true);
  });

  it('is bounded', () => {
    const jobs = Array.from({ length: 50 }, (_, i): [CaptureOptions] => [both(latest(i + 1, 'main'))]);
    expect(coverageOf(...jobs).split(' ')).toHaveLength(8);
    const ids = Array.from({ length: 1000 }, (_, i) => String(2n ** 62n + BigInt(i)));
    const many = both({ kind: 'EXPLICIT', snapshotIds: ids, branches: ['a b'] });
    expect(coverageOf([many]).length).toBeLessThan(120);
    expect(
      covers(coverageOf([many]), both({ kind: 'EXPLICIT', snapshotIds: [...ids].reverse(), branches: ['a b'] })),
    ).toBe(true);
    expect(covers(coverageOf([many]), both({ kind: 'EXPLICIT', snapshotIds: ids.slice(1), branches: ['a b'] }))).toBe(
      false,
    );
  });

  it('is enough for a job that selects nothing if a long history was cut', () => {
    const byDefault: CaptureOptions = { ...both(ALL), selectsByDefault: true };
    const coverage = coverageOf([optionsFor(byDefault, 'DELTA', 1_001)]);
    expect(coverage).toBe('snapshots=default files=default');
    expect(covers(coverage, byDefault)).toBe(true);
    for (const selected of [ALL, latest(1_000)]) expect(covers(coverage, both(selected))).toBe(false);
    expect(covers('', byDefault)).toBe(true);
    expect(covers(coverageOf([both(latest(3))]), byDefault)).toBe(false);
    expect(coverageOf([byDefault])).toBe('');
  });
});

describe('the options for a table', () => {
  const connector = Connector.create();

  it('take the newest 1,000 versions of a Delta table with more, if nothing selects any', () => {
    const byDefault = resolveCaptureOptions(connector, {});
    expect(optionsFor(byDefault, 'DELTA', 1_001).snapshots).toEqual({ kind: 'LATEST_N', latest: 1_000 });
    expect(optionsFor(byDefault, 'DELTA', 1_000)).toBe(byDefault);
    expect(optionsFor(byDefault, 'ICEBERG', 1_001)).toBe(byDefault);
    expect(byDefault.snapshots).toEqual(ALL);
  });

  it('are those of the run or the connector otherwise', () => {
    const source = { snapshots: { kind: SnapshotSelectionKind.SNAPSHOT_SELECTION_KIND_ALL } };
    for (const selected of [
      resolveCaptureOptions(Connector.fromPartial({ source }), {}),
      resolveCaptureOptions(connector, { snapshots: ALL }),
      resolveCaptureOptions(connector, { snapshots: latest(2_000) }),
    ]) {
      expect(optionsFor(selected, 'DELTA', 100_000)).toBe(selected);
    }
  });
});
