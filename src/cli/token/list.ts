import type { Command } from 'commander';
import { Token } from '../../generated/reconciler/v1/tokens.ts';
import { withCatalog } from '../catalog-session/context.ts';
import { NONE, time } from '../io/format.ts';
import { limitOption } from '../io/options.ts';
import { pagesOf } from '../io/paging.ts';
import type { Column } from '../io/table-printer.ts';
import { expiryText, stateTone, stateWord, tenantsText } from './describe.ts';
import { roleWords } from './roles.ts';

const HELP = `
An admin sees the tokens of its tenant, the platform role those of all. The
list never contains their secrets.

Examples:
  $ reconciler token list
  $ reconciler token list --all
  $ reconciler token list --json | jq -r 'select(.subject == "ci").tokenId'`;

const COLUMNS: Column<Token>[] = [
  // Never shortened: `token revoke` needs the whole id.
  { title: 'ID', value: (t) => t.tokenId },
  { title: 'SUBJECT', value: (t) => t.subject, min: 10 },
  { title: 'ROLES', value: (t) => roleWords(t.roles), weight: 4, min: 8 },
  { title: 'STATE', value: stateWord, tone: stateTone },
  { title: 'EXPIRES', value: expiryText, weight: 5 },
  { title: 'TENANTS', value: (t) => tenantsText(t.tenantIds), weight: 6, min: 8 },
  { title: 'LAST USED', value: (t) => (t.lastUsedAt ? time(t.lastUsedAt) : NONE), weight: 7 },
  { title: 'CREATED BY', value: (t) => t.createdBy || NONE, weight: 8 },
];

export function addList(group: Command): void {
  group
    .command('list')
    .description('Lists the tokens that can be used.')
    .option('--all', 'also list tokens that have expired or were revoked')
    .addOption(limitOption())
    .addHelpText('after', HELP)
    .action(
      withCatalog(async ({ clients, out }, { all, limit }: { all?: boolean; limit?: number }) => {
        const pages = pagesOf(async (page, call) => {
          const { tokens, nextPageToken } = await clients.tokens.listTokens(page, call);
          return { items: all ? tokens : tokens.filter((token) => stateWord(token) === 'active'), nextPageToken };
        }, limit);
        await out.list(Token, pages, COLUMNS, { empty: all ? 'no tokens' : 'no tokens that can be used' });
      }),
    );
}
