import type { Progress, TableFailure } from '../contract/job.ts';

/** The last failures that are shown. */
const SHOWN = 10;

/** What the Temporal UI shows of a job, in Markdown. Temporal's limit is 20,000 bytes. */
export function currentDetails(
  connector: string,
  progress: Progress,
  failures: readonly TableFailure[],
  message: string,
): string {
  const p = progress;
  const lines = [
    `**${escapeMarkdown(connector)}** · ${p.state} · ${escapeMarkdown(message)}`,
    '',
    // No Markdown table: the UI sets its columns without any space between them.
    `Tables: **${p.tablesScanned}** scanned · **${p.tablesChanged}** changed · **${p.tablesUnchanged}** unchanged · ${p.tablesFiltered} filtered · ${p.tablesMissing} missing · **${p.errors}** errors`,
    '',
    ...(p.viewsScanned
      ? [
          `Views: **${p.viewsScanned}** scanned · **${p.viewsChanged ?? 0}** changed · ${p.viewsMissing ?? 0} missing`,
          '',
        ]
      : []),
    ...(p.tablesDropped || p.viewsDropped || p.snapshotsDropped
      ? [
          `Dropped: ${p.tablesDropped ?? 0} tables · ${p.viewsDropped ?? 0} views · ${p.snapshotsDropped ?? 0} snapshots`,
          '',
        ]
      : []),
    `Ingested: **${p.snapshotsIngested}** snapshots · **${p.filesIngested}** file changes`,
  ];
  if (p.inFlight.length > 0) {
    const more = p.inFlight.length > SHOWN ? ` and ${p.inFlight.length - SHOWN} more` : '';
    lines.push('', `Now: ${p.inFlight.slice(0, SHOWN).map(escapeMarkdown).join(', ')}${more}`);
  }
  if (failures.length > 0) {
    lines.push('', 'Failures:', '');
    for (const { table, code, message: cause } of failures.slice(-SHOWN)) {
      lines.push(`- **${escapeMarkdown(table || 'the job')}** ${code}: ${escapeMarkdown(cause.slice(0, 400))}`);
    }
  }
  return lines.join('\n').slice(0, 6_000);
}

/** Names and messages come from others: they must not be taken for Markdown. */
function escapeMarkdown(text: string): string {
  return text.replace(/[\\`*_[\]<>|#\n\r]/g, (c) => (c === '\n' || c === '\r' ? ' ' : `\\${c}`));
}
