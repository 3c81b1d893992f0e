import type { Command } from 'commander';
import { JobChange } from '../../generated/reconciler/v1/jobs.ts';
import { type Context, withCatalog } from '../catalog-session/context.ts';
import { word } from '../io/format.ts';
import { limitOption } from '../io/options.ts';
import { pagesOf } from '../io/paging.ts';

const HELP = `
Examples:
  $ reconciler connector trigger lake --dry-run --wait
  $ reconciler job changes JOB
  $ reconciler job changes JOB --json \\
      | jq -r 'select(.action == "JOB_CHANGE_ACTION_DROP") | .name'`;

export function addChanges(group: Command): void {
  group
    .command('changes')
    .description('Lists what a dry run would have created, changed, marked missing or dropped, and why.')
    .argument('<job>', 'job id')
    .addOption(limitOption())
    .addHelpText('after', HELP)
    .action(
      withCatalog((context, jobId: string, { limit }: { limit?: number }) =>
        printChanges(context, jobId, { limit, empty: 'nothing would change; only dry runs list changes' }),
      ),
    );
}

/** Prints the changes of a dry run as rows of a table, or as one line of JSON each; without any, the text `empty`. */
export function printChanges(
  { clients, out }: Pick<Context, 'clients' | 'out'>,
  jobId: string,
  { limit, empty = '' }: { limit?: number; empty?: string } = {},
): Promise<void> {
  const pages = pagesOf(async (page, call) => {
    const { changes, nextPageToken } = await clients.jobs.listJobChanges({ ...page, jobId }, call);
    return { items: changes, nextPageToken };
  }, limit);
  return out.list(
    JobChange,
    pages,
    [
      { title: 'KIND', value: (c) => word(c.kind, 'JOB_CHANGE_KIND_'), weight: 2 },
      { title: 'NAME', value: (c) => c.name, min: 20 },
      { title: 'WOULD', value: (c) => word(c.action, 'JOB_CHANGE_ACTION_') },
      { title: 'DESTINATION', value: (c) => c.destination, weight: 1, min: 20 },
      { title: 'WHY', value: (c) => c.reason, below: true },
    ],
    { empty },
  );
}
