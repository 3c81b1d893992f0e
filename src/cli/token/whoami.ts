import type { Command } from 'commander';
import { Caller } from '../../generated/reconciler/v1/tokens.ts';
import { withCatalog, withDeadline } from '../catalog-session/context.ts';
import { details } from '../io/details.ts';
import { NONE } from '../io/format.ts';
import { expiryText, tenantsText } from './describe.ts';
import { roleWords } from './roles.ts';

const HELP = `
Examples:
  $ reconciler token whoami
  $ reconciler token whoami --json | jq -r .subject`;

export function addWhoami(group: Command): void {
  group
    .command('whoami')
    .description('Shows who the catalog service takes you for, and what you may do.')
    .addHelpText('after', HELP)
    .action(
      withCatalog(async ({ clients, out, tokenSource }) => {
        const caller = await clients.tokens.getCaller({}, withDeadline());
        await out.message(Caller, caller, (c) =>
          details([
            ['subject', c.subject],
            ['issuer', c.issuer],
            ['roles', roleWords(c.roles) || NONE],
            ['tenants', tenantsText(c.tenantIds)],
            ['expires', expiryText(c)],
            ['token from', tokenSource],
          ]),
        );
      }),
    );
}
