import type { Progress, ReconcileRequest, TableFailure } from '../../contract/job.ts';
import { plural, plurals, truncate } from './text.ts';

const MAX_CAUSES = 3;
const MAX_CAUSE_LENGTH = 300;

/** One sentence that states how far the job is, or how it ended: the message of its record, of its failure and of its details. */
export function jobMessage(
  { dryRun }: ReconcileRequest,
  progress: Progress,
  failures: readonly TableFailure[],
): string {
  if (dryRun && progress.state === 'JS_SUCCEEDED') return `Dry run: ${previewText(progress)}`;
  if (dryRun && progress.state === 'JS_CANCELLED') return 'Dry run: cancelled; its list has what it found until then';
  const message = stateText(progress, failures);
  return dryRun ? `Dry run: ${message}` : message;
}

function stateText(progress: Progress, failures: readonly TableFailure[]): string {
  switch (progress.state) {
    case 'JS_SUCCEEDED':
      return changesText(progress);
    case 'JS_FAILED':
      return `${failureKind(progress, failures)}: ${causesText(progress, failures)}`;
    case 'JS_CANCELLED':
      return `Cancelled after ${plural(progress.tablesChanged, 'changed table')}; what came in stays`;
    default:
      return progress.phase;
  }
}

function changesText(progress: Progress): string {
  const { tablesChanged, tablesUnchanged, tablesMissing } = progress;
  const { viewsScanned = 0, viewsChanged = 0, viewsMissing = 0 } = progress;
  const gone = tablesMissing + viewsMissing;
  const dropped = droppedText(progress);
  const missing = (gone > 0 ? `, ${gone} gone upstream` : '') + (dropped && `; dropped ${dropped}`);
  if (tablesChanged === 0 && viewsChanged === 0) {
    const views = viewsScanned > 0 ? `, ${plural(viewsScanned, 'view')}` : '';
    return `Nothing changed: ${plural(tablesUnchanged, 'table')}${views}${missing}`;
  }
  const views = viewsChanged > 0 ? `, ${plural(viewsChanged, 'view')} changed` : '';
  return `${plural(tablesChanged, 'table')} changed, ${tablesUnchanged} unchanged${views}${missing}`;
}

/** What a dry run found. */
function previewText(progress: Progress): string {
  const { tablesChanged, tablesMissing, viewsChanged = 0, viewsMissing = 0 } = progress;
  const parts = [
    [plurals([tablesChanged, 'table'], [viewsChanged, 'view']), 'change'],
    [plurals([tablesMissing, 'table'], [viewsMissing, 'view']), 'be missing'],
    [droppedText(progress), 'be dropped'],
  ];
  const changes = parts.filter(([what]) => what).map(([what, verb]) => `${what} would ${verb}`);
  return changes.join(', ') || 'nothing would change';
}

function droppedText({ tablesDropped = 0, viewsDropped = 0, snapshotsDropped = 0 }: Progress): string {
  return plurals([tablesDropped, 'table'], [viewsDropped, 'view'], [snapshotsDropped, 'expired snapshot']);
}

/** A job whose every failure belongs to a table, a view or a namespace has done the rest. */
function failureKind({ errors }: Progress, failures: readonly TableFailure[]): string {
  return failures.every(({ table }) => table !== '') ? `Partial failure (${errors})` : 'Failed';
}

function causesText({ errors }: Progress, failures: readonly TableFailure[]): string {
  const causes = failures
    .slice(0, MAX_CAUSES)
    .map(({ table, message }) => truncate(table ? `${table}: ${message}` : message, MAX_CAUSE_LENGTH));
  const more = errors - causes.length;
  return causes.join('; ') + (more > 0 ? `; and ${more} more` : '');
}
