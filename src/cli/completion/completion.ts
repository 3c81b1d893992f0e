import { Argument, type Command } from 'commander';
import type { CatalogClients } from '../../catalog-client/connect.ts';
import { withCatalog, withDeadline } from '../catalog-session/context.ts';
import { bashScript } from './bash.ts';
import { type CommandNode, commandTree } from './command-tree.ts';
import { fishScript } from './fish.ts';
import { NAMED } from './named.ts';
import { zshScript } from './zsh.ts';

const SCRIPTS: Record<string, (tree: readonly CommandNode[]) => string> = {
  bash: bashScript,
  zsh: zshScript,
  fish: fishScript,
};

/** Names that a shell offers. */
const MAX_NAMES = 200;

const HELP = `
It completes commands, options, their values, and the names of connectors, jobs,
tokens and tenants, which it reads from the catalog service. It needs \`reconciler\` on the
PATH (npm link).

Examples:
  $ source <(reconciler completion bash)             # in ~/.bashrc
  $ source <(reconciler completion zsh)              # in ~/.zshrc, after compinit
  $ reconciler completion fish > ~/.config/fish/completions/reconciler.fish`;

/** @param loadAll loads the definitions of all commands of the program, which are otherwise loaded one by one */
export function defineCompletion(command: Command, loadAll: () => Promise<Command>): void {
  command
    .description('Prints a script that completes this command line in a shell.')
    .addArgument(new Argument('<shell>', 'the shell').choices(Object.keys(SCRIPTS)))
    .addHelpText('after', HELP)
    .action(async (shell: string) => {
      process.stdout.write(SCRIPTS[shell]?.(commandTree(await loadAll())) ?? '');
    });
  command
    .command('names', { hidden: true })
    .description('Lists names that exist, for the completion scripts.')
    .addArgument(new Argument('<what>', 'whose names').choices([...NAMED]))
    .action(
      withCatalog(async ({ clients }, what: string) => {
        const names = (await namesOf(clients, what)) ?? [];
        process.stdout.write(
          names
            .filter((name) => /^[\w.@+-]+$/.test(name))
            .map((name) => `${name}\n`)
            .join(''),
        );
      }),
    );
}

async function namesOf(clients: CatalogClients, what: string): Promise<string[] | undefined> {
  const page = { pageSize: MAX_NAMES };
  switch (what) {
    case 'connector':
      return (await clients.connectors.listConnectors(page, withDeadline())).connectors.map((c) => c.displayName);
    case 'job':
      return (await clients.jobs.listReconcileJobs(page, withDeadline())).jobs.map((job) => job.jobId);
    case 'tenant':
      return (await clients.tenants.listTenants(page, withDeadline())).tenants.map((tenant) => tenant.tenantId);
    case 'token':
      return (await clients.tokens.listTokens(page, withDeadline())).tokens.map((token) => token.tokenId);
  }
}
