import type { Command } from 'commander';
import { AuditEvent } from '../../generated/reconciler/v1/audit.ts';
import { withCatalog } from '../catalog-session/context.ts';
import type { Tone } from '../io/colour.ts';
import { NONE, time } from '../io/format.ts';
import { positiveInteger, since } from '../io/options.ts';
import { pagesOf } from '../io/paging.ts';
import type { Column } from '../io/table-printer.ts';

const HELP = `
An admin sees the events of its tenant (see --tenant). --platform shows those
that belong to no tenant, such as changes of tenants, and calls without a valid
token. It needs the role platform.

Examples:
  $ reconciler audit
  $ reconciler audit --from 7d --subject ci
  $ reconciler audit --from 2026-07-01 --until 2026-08-01 --limit 100000 \\
      --json > july.jsonl`;

const DEFAULT_LIMIT = 100;

interface AuditOptions {
  from?: Date;
  until?: Date;
  subject?: string;
  resource?: string;
  platform?: boolean;
  limit: number;
}

const COLUMNS: Column<AuditEvent>[] = [
  { title: 'AT', value: (e) => time(e.at) },
  { title: 'SUBJECT', value: (e) => e.subject || NONE, min: 8 },
  { title: 'CALL', value: (e) => e.method.slice(e.method.lastIndexOf('/') + 1) },
  { title: 'RESOURCE', value: (e) => e.resource || NONE, min: 12 },
  { title: 'RESULT', value: resultText, tone: resultTone, min: 8 },
  { title: 'FIELDS', value: (e) => e.fields.join(', ') || NONE, weight: 3, min: 8 },
  { title: 'FROM', value: (e) => e.peer || NONE, weight: 2 },
  { title: 'TRACE', value: (e) => e.traceId || NONE, weight: 1 },
];

export function define(command: Command): void {
  command
    .description('Lists who changed what, and who was refused, newest first.')
    .option('--from <time>', 'only events since then: 2h, 7d or an ISO time', since)
    .option('--until <time>', 'only events before then: 2h, 7d or an ISO time', since)
    .option('--subject <subject>', 'only events of this caller')
    .option('--resource <resource>', 'only events of what has this id or name')
    .option('--platform', 'list the events that belong to no tenant')
    .option('--limit <n>', 'show at most this many', positiveInteger, DEFAULT_LIMIT)
    .addHelpText('after', HELP)
    .action(
      withCatalog(async ({ clients, out }, { limit, ...filter }: AuditOptions) => {
        let hasMore = false;
        const pages = pagesOf(async (page, call) => {
          const { events, nextPageToken } = await clients.audit.listAuditEvents({ ...page, ...filter }, call);
          hasMore = nextPageToken !== '';
          return { items: events, nextPageToken };
        }, limit);
        await out.list(AuditEvent, pages, COLUMNS, { empty: 'no such events' });
        if (hasMore) out.note(`There are more than ${limit}; --limit shows more of them.`);
      }),
    );
}

function resultText({ allowed, code }: AuditEvent): string {
  if (!allowed) return 'refused';
  return code === 'OK' ? 'ok' : code.toLowerCase().replaceAll('_', ' ');
}

function resultTone(event: AuditEvent): Tone | undefined {
  if (!event.allowed) return 'bad';
  return event.code === 'OK' ? undefined : 'warning';
}
