import { countersOf, isEnded } from '../../contract/progress-message.ts';
import { JobState, type ReconcileJob } from '../../generated/reconciler/v1/jobs.ts';
import { plurals } from '../../text.ts';
import type { Tone } from '../io/colour.ts';
import { details } from '../io/details.ts';
import { bytes, count, duration, NONE, time, word } from '../io/format.ts';

export const stateWord = (job: ReconcileJob) =>
  word(job.state, 'JS_') + (job.dryRun ? ' (dry run)' : '') + (job.paused ? ' (paused)' : '');

const STATE_TONES: Partial<Record<JobState, Tone>> = {
  [JobState.JS_SUCCEEDED]: 'good',
  [JobState.JS_FAILED]: 'bad',
};

export const stateTone = ({ state }: ReconcileJob): Tone => STATE_TONES[state] ?? 'warning';
export const errorsTone = (job: ReconcileJob): Tone | undefined => (countersOf(job).errors > 0n ? 'bad' : undefined);

/** How long the job ran, or has been running. */
export function ranFor(job: ReconcileJob): string {
  if (!job.startedAt) return NONE;
  const until = job.finishedAt ?? (isEnded(job.state) ? job.startedAt : new Date());
  return duration(Math.max(0, until.getTime() - job.startedAt.getTime()));
}

export function describeJob(job: ReconcileJob): string[] {
  return details(jobDetails(job));
}

/** Labels and values; values that are not set are empty. */
export function jobDetails(job: ReconcileJob): [label: string, value: string | undefined, tone?: Tone][] {
  return [
    ['job', job.jobId],
    ['connector', job.connectorName || job.connectorId],
    ['state', stateWord(job), stateTone(job)],
    ['message', job.message],
    ['phase', isEnded(job.state) ? '' : job.phase],
    ['retry of', job.retryOfJobId],
    ['mode', (job.full ? 'full' : 'incremental') + (job.dryRun ? ', dry run: writes nothing' : '')],
    ['tables', tablesText(job)],
    ['left out', leftOutText(job)],
    ['views', viewsText(job)],
    ['dropped', droppedText(job)],
    ['errors', count(countersOf(job).errors), errorsTone(job)],
    ['ingested', ingestedText(job)],
    ['upstream', requestsText(job)],
    ['created', time(job.createdAt)],
    ['started', job.startedAt && time(job.startedAt)],
    ['finished', job.finishedAt && time(job.finishedAt)],
    ['ran for', job.startedAt && ranFor(job)],
  ];
}

function requestsText(job: ReconcileJob): string {
  const { upstreamRequests } = countersOf(job);
  return upstreamRequests > 0n ? `${count(upstreamRequests)} requests` : '';
}

function ingestedText(job: ReconcileJob): string {
  const c = countersOf(job);
  const [snapshots, read] = [`${count(c.snapshotsIngested)} snapshots`, `${bytes(c.bytesRead)} of metadata read`];
  return job.dryRun
    ? `nothing (${snapshots} would be), ${read}`
    : `${snapshots}, ${count(c.filesIngested)} files, ${read}`;
}

/** Empty if the upstream has no views. */
function viewsText(job: ReconcileJob): string {
  const c = countersOf(job);
  if (c.viewsScanned === 0n && c.viewsMissing === 0n) return '';
  const parts = [`${count(c.viewsScanned)} scanned`, `${count(c.viewsChanged)} changed`];
  if (c.viewsMissing > 0n) parts.push(`${count(c.viewsMissing)} missing`);
  return parts.join(', ');
}

function tablesText(job: ReconcileJob): string {
  const c = countersOf(job);
  const parts = [
    `${count(c.tablesScanned)} scanned`,
    `${count(c.tablesChanged)} changed`,
    `${count(c.tablesUnchanged)} unchanged`,
  ];
  if (c.tablesMissing > 0n) parts.push(`${count(c.tablesMissing)} missing`);
  return parts.join(', ');
}

/** What the connector's patterns left out; empty if nothing. */
function leftOutText(job: ReconcileJob): string {
  const { tablesFiltered, namespacesFiltered } = countersOf(job);
  return plurals([Number(tablesFiltered), 'table'], [Number(namespacesFiltered), 'namespace']);
}

/** Empty if nothing was dropped. */
function droppedText(job: ReconcileJob): string {
  const { tablesDropped, viewsDropped, snapshotsDropped } = countersOf(job);
  if (tablesDropped + viewsDropped + snapshotsDropped === 0n) return '';
  return `${count(tablesDropped)} tables, ${count(viewsDropped)} views, ${count(snapshotsDropped)} expired snapshots`;
}
