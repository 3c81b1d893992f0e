import { workflowLink } from '../../contract/workflow-link.ts';
import { escapeMarkdown, plural } from '../../text.ts';
import type { Job } from './job.ts';

const MAX_SHOWN = 10;
const MAX_CAUSE_LENGTH = 400;
/** Temporal's limit is 20,000 bytes; a character has at most three. */
const MAX_LENGTH = 6_000;

type ShownJob = Pick<Job, 'id' | 'connectorName' | 'progress' | 'failures' | 'message' | 'waitsFor'>;

/** What the Temporal UI shows about a running job, in Markdown: its counters, what is in flight, and its last failures. */
export function currentDetails(
  { id, connectorName, progress: p, failures, message, waitsFor }: ShownJob,
  namespace: string,
): string {
  const c = p.counters;
  const lines = [
    `**${escapeMarkdown(connectorName)}** · ${p.state} · ${escapeMarkdown(message)}`,
    '',
    // No Markdown table: the UI sets its columns without any space between them.
    `Tables: **${c.tablesScanned ?? 0}** scanned · **${c.tablesChanged ?? 0}** changed · **${c.tablesUnchanged ?? 0}** unchanged · ${c.tablesFiltered ?? 0} filtered${c.namespacesFiltered ? ` (and ${plural(c.namespacesFiltered, 'namespace')})` : ''} · ${c.tablesMissing ?? 0} missing · **${c.errors ?? 0}** errors`,
    '',
    ...(c.viewsScanned
      ? [
          `Views: **${c.viewsScanned ?? 0}** scanned · **${c.viewsChanged ?? 0}** changed · ${c.viewsMissing ?? 0} missing`,
          '',
        ]
      : []),
    ...(c.tablesDropped || c.viewsDropped || c.snapshotsDropped
      ? [
          `Dropped: ${c.tablesDropped ?? 0} tables · ${c.viewsDropped ?? 0} views · ${c.snapshotsDropped ?? 0} snapshots`,
          '',
        ]
      : []),
    `Ingested: **${c.snapshotsIngested ?? 0}** snapshots · **${c.filesIngested ?? 0}** file changes`,
  ];
  // Links within the UI itself.
  const linkTo = (jobId: string) => workflowLink({ base: '', namespace }, jobId);
  if (waitsFor) lines.push('', `Waits for [${escapeMarkdown(waitsFor)}](${linkTo(waitsFor)})`);
  if (p.inFlight.length > 0) {
    const more = p.inFlight.length > MAX_SHOWN ? ` and ${p.inFlight.length - MAX_SHOWN} more` : '';
    lines.push('', `Now: ${p.inFlight.slice(0, MAX_SHOWN).map(escapeMarkdown).join(', ')}${more}`);
  }
  if (failures.length > 0) {
    const all = `all of them: \`reconciler job failures ${id}\`, or the query [failures](${linkTo(id)})`;
    lines.push('', `Failures (${all}):`, '');
    for (const { table, code, message: cause } of failures.slice(-MAX_SHOWN)) {
      const text = escapeMarkdown(cause.slice(0, MAX_CAUSE_LENGTH));
      lines.push(`- **${escapeMarkdown(table || 'the job')}** ${code}: ${text}`);
    }
  }
  return lines.join('\n').slice(0, MAX_LENGTH);
}
