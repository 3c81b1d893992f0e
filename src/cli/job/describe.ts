import type { ReconcileJob } from '../../generated/reconciler/v1/jobs.ts';
import { details } from '../io/details.ts';
import { bytes, count, duration, NONE, time, word } from '../io/format.ts';
import { hasEnded } from './follow.ts';

export const stateWord = (job: ReconcileJob) =>
  word(job.state, 'JS_') + (job.dryRun ? ' (dry run)' : '') + (job.paused ? ' (paused)' : '');

/** How long it ran, or has been running. */
export function ranFor(job: ReconcileJob): string {
  if (!job.startedAt) return NONE;
  const until = job.finishedAt ?? (hasEnded(job) ? job.startedAt : new Date());
  return duration(Math.max(0, until.getTime() - job.startedAt.getTime()));
}

export function describeJob(job: ReconcileJob): string[] {
  return details([
    ['job', job.jobId],
    ['connector', job.connectorName || job.connectorId],
    ['state', stateWord(job)],
    ['message', job.message],
    ['phase', hasEnded(job) ? '' : job.phase],
    ['retry of', job.retryOfJobId],
    ['mode', (job.fullRescan ? 'full' : 'incremental') + (job.dryRun ? ', dry run: writes nothing' : '')],
    ['tables', tablesText(job)],
    ['views', viewsText(job)],
    ['dropped', droppedText(job)],
    ['errors', count(job.errors)],
    ['ingested', ingestedText(job)],
    ['upstream', job.upstreamRequests > 0n ? `${count(job.upstreamRequests)} requests` : ''],
    ['created', time(job.createdAt)],
    ['started', job.startedAt && time(job.startedAt)],
    ['finished', job.finishedAt && time(job.finishedAt)],
    ['ran for', job.startedAt && ranFor(job)],
  ]);
}

function ingestedText(job: ReconcileJob): string {
  const [snapshots, read] = [`${count(job.snapshotsIngested)} snapshots`, `${bytes(job.bytesRead)} of metadata read`];
  return job.dryRun
    ? `nothing (${snapshots} would be), ${read}`
    : `${snapshots}, ${count(job.filesIngested)} files, ${read}`;
}

/** Empty where the upstream has none. */
function viewsText(job: ReconcileJob): string {
  if (job.viewsScanned === 0n && job.viewsMissing === 0n) return '';
  const parts = [`${count(job.viewsScanned)} scanned`, `${count(job.viewsChanged)} changed`];
  if (job.viewsMissing > 0n) parts.push(`${count(job.viewsMissing)} missing`);
  return parts.join(', ');
}

function tablesText(job: ReconcileJob): string {
  const parts = [
    `${count(job.tablesScanned)} scanned`,
    `${count(job.tablesChanged)} changed`,
    `${count(job.tablesUnchanged)} unchanged`,
  ];
  if (job.tablesFiltered > 0n) parts.push(`${count(job.tablesFiltered)} filtered`);
  if (job.tablesMissing > 0n) parts.push(`${count(job.tablesMissing)} missing`);
  return parts.join(', ');
}

/** Empty where nothing was. */
function droppedText({ tablesDropped, viewsDropped, snapshotsDropped }: ReconcileJob): string {
  if (tablesDropped + viewsDropped + snapshotsDropped === 0n) return '';
  return `${count(tablesDropped)} tables, ${count(viewsDropped)} views, ${count(snapshotsDropped)} expired snapshots`;
}
