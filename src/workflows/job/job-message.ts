import {
  type Counters,
  DEFAULT_VERSIONS,
  type Progress,
  type ReconcileRequest,
  type TableFailure,
} from '../../contract/job.ts';
import { plural, plurals, truncate } from '../../text.ts';

const MAX_CAUSES = 3;
const MAX_CAUSE_LENGTH = 300;

/**
 * One sentence that states how far the job is, or how it ended: the message of its record, of its failure and of its details.
 *
 * @param restoredAtMs the job verifies everything, since the catalog was restored then
 */
export function jobMessage(
  { dryRun }: ReconcileRequest,
  progress: Progress,
  failures: readonly TableFailure[],
  restoredAtMs?: number,
): string {
  const state = dryRun ? `Dry run: ${dryText(progress, failures)}` : stateText(progress, failures);
  if (!wentThrough(progress, failures)) return state;
  const message = state + cutText(progress.counters);
  if (restoredAtMs === undefined) return message;
  const restored = new Date(restoredAtMs).toISOString().replace(/\.\d+Z$/, 'Z');
  return `${message}; verified in full, since the catalog was restored from a backup (${restored})`;
}

function dryText(progress: Progress, failures: readonly TableFailure[]): string {
  if (progress.state === 'JS_SUCCEEDED') return previewText(progress.counters);
  if (progress.state === 'JS_CANCELLED') return 'cancelled; its list has what it found until then';
  return stateText(progress, failures);
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

/** States that versions were left out which nobody has left out. */
function cutText({ tablesCut = 0 }: Counters): string {
  if (tablesCut === 0) return '';
  return `; only the newest ${DEFAULT_VERSIONS.toLocaleString('en')} versions of ${plural(tablesCut, 'Delta table')} (--snapshots selects others)`;
}

function droppedText({ tablesDropped = 0, viewsDropped = 0, snapshotsDropped = 0 }: Counters): string {
  return plurals([tablesDropped, 'table'], [viewsDropped, 'view'], [snapshotsDropped, 'expired snapshot']);
}

/** Whether the job has ended, and has read all that it was to read, as far as it can be read. */
function wentThrough({ state }: Progress, failures: readonly TableFailure[]): boolean {
  return state === 'JS_SUCCEEDED' || (state === 'JS_FAILED' && isPartial(failures));
}

/** A job whose every failure belongs to a table, a view or a namespace has done the rest. */
const isPartial = (failures: readonly TableFailure[]) => failures.every(({ table }) => table !== '');

function failureKind({ errors = 0 }: Counters, failures: readonly TableFailure[]): string {
  return isPartial(failures) ? `Partial failure (${errors})` : 'Failed';
}

function causesText({ errors = 0 }: Counters, failures: readonly TableFailure[]): string {
  const causes = failures
    .slice(0, MAX_CAUSES)
    .map(({ table, message }) => truncate(table ? `${table}: ${message}` : message, MAX_CAUSE_LENGTH));
  const more = errors - causes.length;
  return causes.join('; ') + (more > 0 ? `; and ${more} more` : '');
}
