import type { Command } from 'commander';
import { Token } from '../../generated/reconciler/v1/tokens.ts';
import { withCatalog } from '../catalog-session/context.ts';
import { NONE } from '../io/format.ts';
import { limitOption } from '../io/options.ts';
import { pagesOf } from '../io/paging.ts';
import type { Column } from '../io/table-printer.ts';
import { dayText, stateTone, stateWord, tenantsText } from './describe.ts';
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
  { title: 'ROLES', value: (t) => roleWords(t.roles), weight: 9, min: 8 },
  { title: 'EXPIRES', value: (t) => (t.expiresAt ? dayText(t.expiresAt) : 'never'), weight: 8 },
  { title: 'TENANTS', value: (t) => tenantsText(t.tenantIds), weight: 7, min: 7 },
  { title: 'LAST USED', value: (t) => (t.lastUsedAt ? dayText(t.lastUsedAt) : NONE), weight: 6 },
  { title: 'CREATED BY', value: (t) => t.createdBy || NONE, weight: 5 },
];
const STATE: Column<Token> = { title: 'STATE', value: stateWord, tone: stateTone };

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
        const columns = all ? [...COLUMNS.slice(0, 2), STATE, ...COLUMNS.slice(2)] : COLUMNS;
        await out.list(Token, pages, columns, { empty: all ? 'no tokens' : 'no tokens that can be used' });
      }),
    );
}
