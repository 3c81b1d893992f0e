import type { Client } from '@temporalio/client';
import { TypedSearchAttributes } from '@temporalio/common';
import type { ReconcileRequest } from '../contract/job.ts';
import { jobMemo } from '../contract/job-memo.ts';
import { attributesAtStart, triggerOf } from '../contract/search-attributes.ts';
import { runsLink, workflowLink } from '../contract/workflow-link.ts';
import { escapeMarkdown, truncate } from '../text.ts';
import { hasSearchAttributes } from './search-attributes-registered.ts';

/** Temporal's limit for a summary is 400 bytes; a character has at most three. */
const MAX_SUMMARY = 130;
/** From 1 (highest) to 5 (lowest). */
const INTERACTIVE_PRIORITY = 2;
/** Temporal's default, which runs that are started in Temporal have too. */
const SCHEDULED_PRIORITY = 3;
/** The longest excerpt of one option. With all of them, the details stay far below Temporal's limit of 20,000 bytes. */
const MAX_OPTION = 500;

/**
 * Summary, details, memo and search attributes by which people recognise and find a job's workflow in the Temporal UI.
 *
 * @param options.uiBase of links in the details; by default, they lead to the UI that shows them
 * @param options.retryOf the job that this one retries, wholly or in part
 */
export async function jobLabels(
  client: Client,
  request: ReconcileRequest,
  connector: { id: string; name: string },
  { uiBase = '', retryOf }: { uiBase?: string; retryOf?: string } = {},
) {
  const hasAttributes = await hasSearchAttributes(client);
  const ui = { base: uiBase, namespace: client.options.namespace };
  const runs = hasAttributes ? runsLink(ui, connector.name) : undefined;
  const retried = retryOf ? { jobId: retryOf, link: workflowLink(ui, retryOf) } : undefined;
  return {
    typedSearchAttributes: hasAttributes
      ? new TypedSearchAttributes(attributesAtStart(connector.name, request))
      : undefined,
    memo: jobMemo(request, connector, retryOf),
    priority: jobPriority(request, connector),
    staticSummary: truncate(`${summary(request)} of ${connector.name}`, MAX_SUMMARY),
    staticDetails: details(request, connector, { runs, retried }),
  };
}

/**
 * Jobs that people wait for go before scheduled ones, and tenants take turns; so do the connectors of the default tenant, which often is the only one. The
 * job's activities inherit both. Without a server setting,
 * Temporal ignores the fairness key (docs/operations.md).
 */
function jobPriority({ trigger, tenant }: ReconcileRequest, connector: { id: string }) {
  const priorityKey = trigger === 'schedule' ? SCHEDULED_PRIORITY : INTERACTIVE_PRIORITY;
  return { priorityKey, fairnessKey: tenant ?? connector.id };
}

function summary({ full, dryRun }: ReconcileRequest): string {
  if (dryRun) return full ? 'Dry run of a full rescan' : 'Dry run';
  return full ? 'Full rescan' : 'Reconcile';
}

const STARTED_BY: Record<ReturnType<typeof triggerOf>, string> = {
  manual: 'by a trigger',
  schedule: 'by its schedule',
  retry: 'to retry what had failed',
  temporal: 'in Temporal',
};

/** In Markdown. */
function details(
  request: ReconcileRequest,
  connector: { id: string; name: string },
  { runs, retried }: { runs?: string; retried?: { jobId: string; link: string } },
): string {
  const { full, dryRun, snapshots, mode, scope, retryOf } = request;
  const lines = [
    `Connector **${escapeMarkdown(connector.name)}** (\`${connector.id}\`)${runs ? ` · [all its runs](${runs})` : ''}`,
    full ? 'Full rescan: verifies every snapshot and repairs differences.' : 'Ingests what has changed.',
    `Started ${STARTED_BY[triggerOf(request)]}.`,
  ];
  if (retried) {
    const job = `[${escapeMarkdown(retried.jobId)}](${retried.link})`;
    lines.push(retryOf ? `Only what failed in ${job}.` : `Repeats ${job}.`);
  }
  if (dryRun) lines.push('Dry run: writes only the list of what it would do.');
  if (snapshots || mode) lines.push(`Captures ${excerpt({ mode, snapshots })}`);
  if (scope) lines.push(`Narrowed to ${excerpt(scope)}`);
  return lines.join('\n\n');
}

/** JSON as code, which must not contain a backtick. */
function excerpt(option: object): string {
  return `\`${truncate(JSON.stringify(option), MAX_OPTION).replaceAll('`', "'")}\``;
}
