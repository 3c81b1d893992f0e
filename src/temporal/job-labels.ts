import type { Client } from '@temporalio/client';
import { TypedSearchAttributes } from '@temporalio/common';
import type { ReconcileRequest } from '../contract/job.ts';
import { SEARCH_ATTRIBUTES } from '../contract/search-attributes.ts';
import { hasSearchAttributes } from './search-attributes-registered.ts';

/** Summary, details and search attributes by which people recognise and find a job's workflow in the Temporal UI. */
export async function jobLabels(client: Client, request: ReconcileRequest, connector: { id: string; name: string }) {
  const mode = request.full ? 'full' : 'incremental';
  return {
    typedSearchAttributes: (await hasSearchAttributes(client))
      ? new TypedSearchAttributes([
          { key: SEARCH_ATTRIBUTES.connector, value: connector.name },
          { key: SEARCH_ATTRIBUTES.tenant, value: 'default' },
          { key: SEARCH_ATTRIBUTES.mode, value: mode },
        ])
      : undefined,
    // Temporal's limits are 400 bytes for the summary and 20,000 bytes for the details.
    staticSummary: `${summary(request)} of ${connector.name}`.slice(0, 130),
    staticDetails: details(request, connector),
  };
}

function summary({ full, dryRun }: ReconcileRequest): string {
  if (dryRun) return full ? 'Dry run of a full rescan' : 'Dry run';
  return full ? 'Full rescan' : 'Reconcile';
}

function details(request: ReconcileRequest, connector: { id: string; name: string }): string {
  const lines = [
    `Connector **${connector.name}** (\`${connector.id}\`)`,
    request.full ? 'Full rescan: verifies every snapshot and repairs differences.' : 'Ingests what has changed.',
  ];
  if (request.dryRun) lines.push('Dry run: writes only the list of what it would do.');
  const { snapshots, mode } = request;
  if (snapshots || mode) lines.push(`Captures \`${JSON.stringify({ mode, snapshots }).slice(0, 1_000)}\``);
  if (request.scope) lines.push(`Narrowed to \`${JSON.stringify(request.scope)}\``);
  return lines.join('\n\n').slice(0, 6_000);
}
