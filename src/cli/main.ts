import { readFileSync } from 'node:fs';
import { Command, CommanderError } from 'commander';
import { CallError, describeFailure, EXIT, ExitCode, violationsIn } from './io/errors.ts';
import { describeUsage } from './io/usage.ts';
import { writeError } from './io/write-error.ts';

/** A top-level command. Its code is loaded only when it is called, so that the CLI starts quickly. */
interface Entry {
  name: string;
  summary: string;
  load(): Promise<{ define(command: Command): void }>;
}

const ENTRIES: Entry[] = [
  {
    name: 'up',
    summary: 'Starts Temporal, the catalog service and a worker, and keeps them running.',
    load: () => import('./processes/up.ts'),
  },
  {
    name: 'start',
    summary: 'Runs the demo: reconciles the sample lakehouse and shows the result.',
    load: () => import('./processes/start.ts'),
  },
  {
    name: 'catalog',
    summary: 'Runs only the catalog service, or lists its catalogs.',
    load: () => import('./processes/catalog.ts'),
  },
  { name: 'worker', summary: 'Runs only a worker.', load: () => import('./processes/worker.ts') },
  {
    name: 'setup',
    summary: 'Registers search attributes in Temporal.',
    load: () => import('./processes/setup.ts'),
  },
  {
    name: 'codec',
    summary: 'Decrypts payloads for the Temporal UI and CLI.',
    load: () => import('./processes/codec.ts'),
  },
  {
    name: 'backup',
    summary: "Writes a checked copy of the catalog's database, also while it is in use.",
    load: () => import('./backup/backup.ts'),
  },
  {
    name: 'restore',
    summary: "Replaces the catalog's database by a backup.",
    load: () => import('./backup/restore.ts'),
  },
  {
    name: 'connector',
    summary: 'Manages connectors to upstream catalogs, and reconciles them.',
    load: () => import('./connector/index.ts'),
  },
  {
    name: 'apply',
    summary: 'Creates and updates connectors as files declare them.',
    load: () => import('./apply/index.ts'),
  },
  { name: 'job', summary: 'Shows, watches, cancels and retries reconcile jobs.', load: () => import('./job/index.ts') },
  {
    name: 'schedule',
    summary: 'Lists and repairs the schedules of connectors.',
    load: () => import('./schedule/index.ts'),
  },
  { name: 'namespace', summary: 'Lists namespaces.', load: () => import('./namespace/index.ts') },
  { name: 'table', summary: 'Lists tables, shows one.', load: () => import('./table/index.ts') },
  { name: 'view', summary: 'Lists views, shows one.', load: () => import('./view/index.ts') },
  { name: 'snapshot', summary: "Lists a table's snapshots.", load: () => import('./snapshot/index.ts') },
  {
    name: 'stats',
    summary: 'Shows statistics of a snapshot: table, columns, files.',
    load: () => import('./stats/index.ts'),
  },
  { name: 'plan', summary: 'Lists the files to read for a snapshot.', load: () => import('./plan/index.ts') },
  {
    name: 'login',
    summary: 'Logs in at an OpenID provider.',
    load: () => import('./login/login.ts'),
  },
  { name: 'logout', summary: 'Forgets what `login` stored.', load: () => import('./login/logout.ts') },
  {
    name: 'token',
    summary: 'Creates, lists and revokes tokens; shows who you are.',
    load: () => import('./token/index.ts'),
  },
  { name: 'tenant', summary: 'Manages tenants.', load: () => import('./tenant/index.ts') },
  { name: 'audit', summary: 'Lists who changed what, and who was refused.', load: () => import('./audit/audit.ts') },
  {
    name: 'completion',
    summary: 'Prints a script that completes commands in bash, zsh or fish.',
    async load() {
      const { defineCompletion } = await import('./completion/completion.ts');
      return { define: (command) => defineCompletion(command, loadAll) };
    },
  },
];

const HELP = `
Examples:
  $ reconciler up
  $ reconciler connector create lake --kind iceberg \\
      --uri file:///some/warehouse --destination-catalog main
  $ reconciler connector trigger lake --wait
  $ reconciler table list main.sales

Names are written catalog.namespace.table. Quote a segment that contains dots,
quotes or spaces: main."my ns".orders

Environment:
  RECONCILER_ADDRESS       catalog service, host:port, or https://host:port
                           (default: the stack in ./.reconciler, otherwise
                           127.0.0.1:7460)
  RECONCILER_DATA_DIR      data directory of \`up\` (default: ./.reconciler);
                           it has the token for that stack
  RECONCILER_TOKEN         token that identifies you to the catalog service
  RECONCILER_TOKEN_FILE    file with the token; read again when it changes
  RECONCILER_TOKEN_COMMAND shell command that prints the token
  RECONCILER_TENANT        tenant of the calls
  RECONCILER_CA            authorities of the catalog service's certificate
  RECONCILER_CLIENT_CERT, RECONCILER_CLIENT_KEY
                           certificate and key that identify you (mTLS)
  RECONCILER_LOGIN_ISSUER, RECONCILER_LOGIN_CLIENT_ID
                           OpenID provider and client of \`login\`
  RECONCILER_CACHE_DIR     where a downloaded Temporal CLI is kept
  RECONCILER_TEMPORAL_CLI  path of the Temporal CLI to use
  RECONCILER_TEMPORAL_UI   base of links into the Temporal UI
  RECONCILER_CODEC_KEYS    keys that encrypt Temporal payloads: id=reference,…
  RECONCILER_LOG_LEVEL     debug also prints the stack traces of errors
  NO_COLOR, FORCE_COLOR    no colours; colours in pipes, too

Exit codes: 0 success, 1 the job or the call failed, 2 wrong usage,
3 a server cannot be reached, 4 \`apply --dry-run\` found differences.`;

/** Longer lines are hard to read, however wide the terminal is. */
const MAX_HELP_WIDTH = 100;

/**
 * Runs one command line.
 *
 * @returns The exit code for the shell. Afterwards nothing keeps the process alive.
 */
export async function main(args: string[]): Promise<number> {
  endQuietlyOnClosedPipe();
  const program = buildProgram();
  try {
    await program.parseAsync(helpAsOption(args), { from: 'user' });
    return EXIT.DONE;
  } catch (error) {
    if (error instanceof ExitCode) return error.code;
    // Commander has written its own message.
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.DONE : EXIT.USAGE;
    const failure = describeFailure(error);
    writeError((await inWordsOfOptions(error)) ?? failure.message, failure.hint);
    if (/^(debug|trace)$/.test(process.env.RECONCILER_LOG_LEVEL ?? ''))
      process.stderr.write(`${(error as Error).stack}\n`);
    return failure.exitCode;
  }
}

/** Invalid fields of a request, by the options that set them; undefined for other errors. */
async function inWordsOfOptions(error: unknown): Promise<string | undefined> {
  if (!(error instanceof CallError) || violationsIn(error.cause).length === 0) return undefined;
  return (await import('./connector/field-words.ts')).inWordsOfOptions(error.cause);
}

/** The program with the definitions of all its commands. */
export async function loadAll(): Promise<Command> {
  const program = buildProgram();
  for (const { name, load } of ENTRIES) {
    const command = program.commands.find((each) => each.name() === name);
    if (command) (await load()).define(command);
  }
  return program;
}

function buildProgram(): Command {
  const program = new Command('reconciler')
    .description(
      'Keeps one lakehouse catalog in sync with many upstream catalogs. Every reconcile is a Temporal workflow.',
    )
    .option('--json', 'print only proto3 JSON, one object per line')
    .option('--address <host:port>', 'catalog service; https://host:port for TLS (default: RECONCILER_ADDRESS)')
    .option('--token-file <file>', 'file with the token that identifies you (default: RECONCILER_TOKEN_FILE)')
    .option('--tenant <tenant>', 'tenant of the calls (default: RECONCILER_TENANT, or that of the token)')
    .version(version(), '-V, --version', 'print the version')
    .helpCommand(false)
    .addHelpText('after', HELP)
    .helpOption('-h, --help', 'show this help')
    .configureHelp({ showGlobalOptions: true })
    .configureOutput({
      outputError: (text) => writeError(describeUsage(text), 'add --help to see the options'),
      getOutHelpWidth: () => Math.min(process.stdout.columns ?? 80, MAX_HELP_WIDTH),
      getErrHelpWidth: () => Math.min(process.stderr.columns ?? 80, MAX_HELP_WIDTH),
    })
    .exitOverride();
  for (const { name, summary } of ENTRIES) {
    program.command(name).description(summary);
  }
  program.hook('preSubcommand', async (_program, command) => {
    const entry = ENTRIES.find(({ name }) => name === command.name());
    if (entry) (await entry.load()).define(command);
  });
  return program;
}

function version(): string {
  return JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')).version;
}

/** Turns `help connector create` into `connector create --help`, so that only that command's code is loaded. */
function helpAsOption(args: string[]): string[] {
  return args[0] === 'help' ? [...args.slice(1), '--help'] : args;
}

let watchesPipes = false;

/** `| head` closes the pipe when it has read enough. That is not an error. */
function endQuietlyOnClosedPipe(): void {
  if (watchesPipes) return;
  watchesPipes = true;
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EPIPE') process.exit(EXIT.DONE);
      throw error;
    });
  }
}
