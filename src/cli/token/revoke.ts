import type { Command } from 'commander';
import { Token } from '../../generated/reconciler/v1/tokens.ts';
import { withCatalog, withDeadline } from '../catalog-session/context.ts';
import { SEARCHED, suggesting } from '../catalog-session/suggesting.ts';

const HELP = `
The token is refused within ten seconds. The tokens of an OpenID provider, as
\`reconciler login\` obtains them, are revoked there.

Examples:
  $ reconciler token list
  $ reconciler token revoke 01m8p8q2r3s4t5`;

export function addRevoke(group: Command): void {
  group
    .command('revoke')
    .description('Revokes a token.')
    .argument('<token>', 'id of the token, which `reconciler token list` shows')
    .addHelpText('after', HELP)
    .action(
      withCatalog(async ({ clients, out }, text: string) => {
        const tokenId = idOf(text);
        const revoked = await suggesting(clients.tokens.revokeToken({ tokenId }, withDeadline()), tokenId, async () => {
          const { tokens } = await clients.tokens.listTokens({ pageSize: SEARCHED }, withDeadline());
          return { names: tokens.map((token) => token.tokenId), list: 'token list --all' };
        });
        await out.message(Token, revoked, (token) => `revoked ${token.tokenId} of ${token.subject}`);
      }),
    );
}

/** The id, also of a whole token: it contains its id, and its secret must not get into a message. */
function idOf(text: string): string {
  return /^rct_([^_]+)_/.exec(text)?.[1] ?? text;
}
