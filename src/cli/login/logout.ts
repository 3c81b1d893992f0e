import type { Command } from 'commander';
import { deleteLogin, loginFileOf } from '../../catalog-client/login/login-file.ts';
import { readConfig } from '../../config.ts';
import { endpointOf } from '../catalog-session/address.ts';
import { standardOutput } from '../io/output.ts';

const HELP = `
The provider is not told: its page ends the session there.

Examples:
  $ reconciler logout
  $ reconciler logout --address https://catalog.example.com:7460`;

export function define(command: Command): void {
  command
    .description('Deletes the tokens that `reconciler login` stored for this catalog service.')
    .addHelpText('after', HELP)
    .action(async (_options, command: Command) => {
      const { address } = endpointOf(command);
      const loggedOut = deleteLogin(loginFileOf(readConfig().configDir, address));
      const out = standardOutput(command.optsWithGlobals<{ json?: boolean }>().json === true);
      await out.message({ toJSON: (message) => message }, { address, loggedOut }, () =>
        loggedOut ? `logged out of the catalog service ${address}` : `there was no login for ${address}`,
      );
    });
}
