import type { Command } from 'commander';
import { CreateTokenResponse, type Role } from '../../generated/reconciler/v1/tokens.ts';
import { withCatalog, withDeadline } from '../catalog-session/context.ts';
import { details } from '../io/details.ts';
import { UsageError } from '../io/errors.ts';
import { interval, list } from '../io/options.ts';
import { expiryText, tenantsText } from './describe.ts';
import { ROLES, roles, roleWords } from './roles.ts';

const HELP = `
Roles:
  reader    reads everything but the properties of connectors
  operator  also triggers, retries, cancels, pauses and resumes
  admin     everything in its tenants, tokens included
  worker    what \`reconciler worker\` needs
  platform  tenants, and the tokens of all tenants; no data of a tenant

A token belongs to the tenant of the call (--tenant), or to --tenants. It
expires after 90 days unless --ttl says otherwise. Its secret is shown once:
the catalog service does not store it.

Examples:
  $ reconciler token create ci --role operator --ttl 30d
  $ reconciler token create workers --role worker --tenants '*'
  $ (umask 077; reconciler token create ci --role reader --json |
      jq -r .secret > ci-token)`;

interface CreateOptions {
  role: Role[];
  tenants?: string[];
  ttl?: number;
  expiry: boolean;
}

export function addCreate(group: Command): void {
  group
    .command('create')
    .description('Creates a token and prints its secret, once.')
    .argument('<subject>', 'whom the token is for, such as a person, a team or a program')
    .requiredOption('--role <list>', `what it may do: ${ROLES.join(', ')}; comma-separated or repeated`, roles)
    .option('--tenants <list>', "tenants of the token, comma-separated, or '*' for all; see also --tenant", list)
    .option('--ttl <duration>', 'when it expires, such as 12h or 30d (default: after 90d)', interval)
    .option('--no-expiry', 'let it never expire')
    .addHelpText('after', HELP)
    .action(
      withCatalog(async ({ clients, out }, subject: string, { role, tenants, ttl, expiry }: CreateOptions) => {
        if (ttl !== undefined && !expiry) throw new UsageError('--ttl and --no-expiry exclude each other');
        const request = { subject, roles: [...new Set(role)], tenantIds: tenants ?? [], noExpiry: !expiry };
        const duration = ttl === undefined ? undefined : { seconds: BigInt(ttl), nanos: 0 };
        const created = await clients.tokens.createToken({ ...request, ttl: duration }, withDeadline());
        await out.message(CreateTokenResponse, created, ({ secret, token }) => [
          ...details([
            ['token', secret],
            ['id', token?.tokenId],
            ['subject', token?.subject],
            ['roles', roleWords(token?.roles ?? [])],
            ['tenants', tenantsText(token?.tenantIds ?? [])],
            ['expires', token && expiryText(token)],
          ]),
        ]);
        out.note('This is the only time that the token is shown. Keep it secret; `reconciler token revoke` ends it.');
      }),
    );
}
