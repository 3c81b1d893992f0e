import { SnapshotSelectionKind as Kind, type SnapshotSelection } from '../../generated/reconciler/v1/capture.ts';
import type { Checks } from '../rpc/violations.ts';

const MAX_LATEST = 1_000_000;
const MAX_IDS = 1_000;
const MAX_BRANCHES = 1_000;

/** Checks a snapshot selection. Fields that do not belong to its kind are refused. */
export function checkSelection(checks: Checks, selection: SnapshotSelection | undefined, field: string): void {
  if (!selection) return;
  const { kind, latest, snapshotIds, branches } = selection;
  checks.that(
    kind !== Kind.SNAPSHOT_SELECTION_KIND_UNSPECIFIED,
    `${field}.kind`,
    'is required: ALL, CURRENT, LATEST_N or EXPLICIT',
  );
  if (kind === Kind.SNAPSHOT_SELECTION_KIND_LATEST_N) {
    const isInRange = latest >= 1 && latest <= MAX_LATEST;
    checks.that(isInRange, `${field}.latest`, `${latest} is not between 1 and ${MAX_LATEST}`);
  } else {
    checks.that(latest === 0, `${field}.latest`, 'is only for LATEST_N');
  }
  if (kind === Kind.SNAPSHOT_SELECTION_KIND_EXPLICIT) {
    const count = snapshotIds.length;
    checks.that(
      count >= 1 && count <= MAX_IDS,
      `${field}.snapshot_ids`,
      `has ${count} entries, 1 to ${MAX_IDS} are allowed`,
    );
  } else {
    checks.that(snapshotIds.length === 0, `${field}.snapshot_ids`, 'is only for EXPLICIT');
  }
  checks.list(branches, `${field}.branches`, MAX_BRANCHES);
  for (const [index, branch] of branches.slice(0, MAX_BRANCHES).entries()) {
    checks.text(branch, `${field}.branches[${index}]`, { min: 1, max: 1024 });
  }
}
