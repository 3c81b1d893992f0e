import type { Command } from 'commander';
import { loginFileOf, writeLogin } from '../../catalog-client/login/login-file.ts';
import { readConfig } from '../../config.ts';
import { endpointOf } from '../catalog-session/address.ts';
import { ExitCode, UsageError } from '../io/errors.ts';
import { time } from '../io/format.ts';
import { standardOutput } from '../io/output.ts';
import { untilStopped } from '../io/signals.ts';

const HELP = `
It shows a code and the address of a page of the provider, where you confirm the
code in any browser. The tokens are for this catalog service, which must accept
the provider (RECONCILER_OIDC). They are stored in ~/.config/reconciler, in a file
that only you can read, and are renewed before they expire. \`reconciler logout\`
deletes them.

Examples:
  $ reconciler login --issuer https://login.example.com --client-id reconciler \\
      --audience https://catalog.example.com
  $ reconciler token whoami`;

const DEFAULT_SCOPE = 'openid offline_access';

interface LoginOptions {
  issuer?: string;
  clientId?: string;
  scope: string;
  audience?: string;
}

export function define(command: Command): void {
  command
    .description('Logs in at an OpenID provider with a code that you confirm in a browser.')
    .option('--issuer <url>', 'the provider (default: RECONCILER_LOGIN_ISSUER)')
    .option('--client-id <id>', 'the client that is registered there (default: RECONCILER_LOGIN_CLIENT_ID)')
    .option('--scope <scopes>', 'scopes to ask for, separated by spaces', DEFAULT_SCOPE)
    .option('--audience <audience>', 'audience that the catalog service expects in tokens')
    .addHelpText('after', HELP)
    .action(run);
}

async function run({ scope, audience, ...options }: LoginOptions, command: Command): Promise<void> {
  const config = readConfig();
  const issuer = required(options.issuer ?? config.loginIssuer, '--issuer', 'RECONCILER_LOGIN_ISSUER');
  const clientId = required(options.clientId ?? config.loginClientId, '--client-id', 'RECONCILER_LOGIN_CLIENT_ID');
  if (!/^https?:/.test(issuer) || !URL.canParse(issuer))
    throw new UsageError(`--issuer '${issuer}' is not a URL`, 'for example https://login.example.com');
  const { address } = endpointOf(command);
  const { startLogin } = await import('../../catalog-client/login/openid.ts');
  const { signal, dispose } = untilStopped();
  try {
    const pending = await startLogin({ issuer, clientId, scope, audience });
    // On stderr, so that it is seen if stdout is read by a program.
    process.stderr.write(instructions(pending));
    const login = await pending.finish(signal).catch((error) => {
      throw signal.aborted ? new ExitCode(130) : error;
    });
    writeLogin(loginFileOf(config.configDir, address), login);
    const expiresAt = login.expiresAt === undefined ? undefined : new Date(login.expiresAt);
    const renewed = login.refreshToken === undefined ? 'log in again after that' : 'renewed by itself';
    const out = standardOutput(command.optsWithGlobals<{ json?: boolean }>().json === true);
    await out.message({ toJSON: (message) => message }, { address, issuer, expiresAt: time(expiresAt) }, () => [
      `logged in at ${issuer} for the catalog service ${address}`,
      ...(expiresAt ? [`the token expires at ${time(expiresAt)}; ${renewed}`] : []),
    ]);
  } finally {
    dispose();
  }
}

function instructions({ url, urlWithCode, userCode }: { url: string; urlWithCode?: string; userCode: string }): string {
  const lines = [`Open ${url} in a browser and enter the code ${userCode}`];
  if (urlWithCode !== undefined) lines.push(`or open ${urlWithCode}`);
  return [...lines, 'Waiting for you to confirm; Ctrl-C gives up.', ''].join('\n');
}

function required(value: string | undefined, option: string, variable: string): string {
  if (value !== undefined && value !== '') return value;
  throw new UsageError(`${option} is required`, `or set ${variable}`);
}
