import { accessSync, constants, existsSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { homedir, tmpdir, userInfo } from 'node:os';
import { join, resolve } from 'node:path';
import { withLock } from '../../../src/stack/lock-file.ts';
import { failureOf, runCommand } from '../../../src/stack/run-command.ts';

/** From Maven and PyPI on a slow day; a download that hangs must end all the same. */
const INSTALL_WITHIN_MS = 10 * 60_000;

/** Where servers and engines are kept between runs: `RECONCILER_TEST_CACHE`, else below HOME, else below the temporary folder. */
export function cacheDir(): string {
  const named = process.env.RECONCILER_TEST_CACHE;
  if (named) return makeFolder(resolve(named));
  try {
    const home = homedir();
    if (home) return makeFolder(join(home, '.cache', 'reconciler-upstreams'));
  } catch {
    // Not there or not to be written to, as in some containers.
  }
  return makeFolder(join(tmpdir(), `reconciler-upstreams-${process.getuid?.() ?? ''}`));
}

/**
 * The folder `name` of the cache, filled by `install` where it is not there yet. Seen whole or not at all; of several processes one
 * installs and the others wait.
 */
export async function installed(name: string, install: (folder: string) => Promise<void>): Promise<string> {
  const cache = cacheDir();
  const folder = join(cache, name);
  if (existsSync(folder)) return folder;
  await withLock(join(cache, `${name}.lock`), async () => {
    if (existsSync(folder)) return;
    const unfinished = join(cache, `${name}.unfinished`);
    // What a killed install left there.
    rmSync(unfinished, { recursive: true, force: true });
    mkdirSync(unfinished);
    console.error(`installing ${name} into ${cache}; the first time takes up to a minute`);
    await install(unfinished);
    renameSync(unfinished, folder);
  });
  return folder;
}

/** Runs a tool of an installation; throws with what it said where it fails. */
export async function runInstaller(command: string, args: string[]): Promise<void> {
  const result = await runCommand(command, args, { timeoutMs: INSTALL_WITHIN_MS, env: installerEnv() });
  if (result.code !== 0) throw new Error(`\`${command} ${args.join(' ')}\` failed: ${failureOf(result)}`);
}

/** Maven's own repository where it may be written to, else one in the cache. */
export function mavenRepository(): string[] {
  try {
    // Java's user.home, which HOME says nothing about.
    makeFolder(join(userInfo().homedir, '.m2', 'repository'));
    return [];
  } catch {
    return [`-Dmaven.repo.local=${makeFolder(join(cacheDir(), 'm2'))}`];
  }
}

function installerEnv(): NodeJS.ProcessEnv {
  const env = { ...process.env };
  // An empty one makes tools keep their caches in the current folder.
  if (!env.HOME) delete env.HOME;
  return env;
}

function makeFolder(path: string): string {
  mkdirSync(path, { recursive: true });
  accessSync(path, constants.W_OK);
  return path;
}
