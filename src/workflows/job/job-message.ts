import type { Counters, Progress, ReconcileRequest, TableFailure } from '../../contract/job.ts';
import { plural, plurals, truncate } from '../../text.ts';

const MAX_CAUSES = 3;
const MAX_CAUSE_LENGTH = 300;

/** One sentence that states how far the job is, or how it ended: the message of its record, of its failure and of its details. */
export function jobMessage(
  { dryRun }: ReconcileRequest,
  progress: Progress,
  failures: readonly TableFailure[],
): string {
  if (dryRun && progress.state === 'JS_SUCCEEDED') return `Dry run: ${previewText(progress.counters)}`;
  if (dryRun && progress.state === 'JS_CANCELLED') return 'Dry run: cancelled; its list has what it found until then';
  const message = stateText(progress, failures);
  return dryRun ? `Dry run: ${message}` : message;
}

function stateText(progress: Progress, failures: readonly TableFailure[]): string {
  switch (progress.state) {
    case 'JS_SUCCEEDED':
      return changesText(progress.counters);
    case 'JS_FAILED':
      return `${failureKind(progress.counters, failures)}: ${causesText(progress.counters, failures)}`;
    case 'JS_CANCELLED':
      return `Cancelled after ${plural(progress.counters.tablesChanged ?? 0, 'changed table')}; what was ingested is kept`;
    default:
      return progress.phase;
  }
}

function changesText(counters: Counters): string {
  const { tablesChanged = 0, tablesUnchanged = 0, tablesMissing = 0 } = counters;
  const { viewsScanned = 0, viewsChanged = 0, viewsMissing = 0 } = counters;
  const gone = tablesMissing + viewsMissing;
  const dropped = droppedText(counters);
  const missing = (gone > 0 ? `, ${gone} gone upstream` : '') + (dropped && `; dropped ${dropped}`);
  if (tablesChanged === 0 && viewsChanged === 0) {
    const views = viewsScanned > 0 ? `, ${plural(viewsScanned, 'view')}` : '';
    return `Nothing changed: ${plural(tablesUnchanged, 'table')}${views}${missing}`;
  }
  const views = viewsChanged > 0 ? `, ${plural(viewsChanged, 'view')} changed` : '';
  return `${plural(tablesChanged, 'table')} changed, ${tablesUnchanged} unchanged${views}${missing}`;
}

/** What a dry run found. */
function previewText(counters: Counters): string {
  const { tablesChanged = 0, tablesMissing = 0, viewsChanged = 0, viewsMissing = 0 } = counters;
  const parts = [
    [plurals([tablesChanged, 'table'], [viewsChanged, 'view']), 'change'],
    [plurals([tablesMissing, 'table'], [viewsMissing, 'view']), 'be missing'],
    [droppedText(counters), 'be dropped'],
  ];
  const changes = parts.filter(([what]) => what).map(([what, verb]) => `${what} would ${verb}`);
  return changes.join(', ') || 'nothing would change';
}

function droppedText({ tablesDropped = 0, viewsDropped = 0, snapshotsDropped = 0 }: Counters): string {
  return plurals([tablesDropped, 'table'], [viewsDropped, 'view'], [snapshotsDropped, 'expired snapshot']);
}

/** A job whose every failure belongs to a table, a view or a namespace has done the rest. */
function failureKind({ errors = 0 }: Counters, failures: readonly TableFailure[]): string {
  return failures.every(({ table }) => table !== '') ? `Partial failure (${errors})` : 'Failed';
}

function causesText({ errors = 0 }: Counters, failures: readonly TableFailure[]): string {
  const causes = failures
    .slice(0, MAX_CAUSES)
    .map(({ table, message }) => truncate(table ? `${table}: ${message}` : message, MAX_CAUSE_LENGTH));
  const more = errors - causes.length;
  return causes.join('; ') + (more > 0 ? `; and ${more} more` : '');
}
