import { accessSync, constants, existsSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { homedir, tmpdir, userInfo } from 'node:os';
import { join, resolve } from 'node:path';
import { withLock } from '../../../src/stack/lock-file.ts';
import { failureOf, runCommand } from '../../../src/stack/run-command.ts';

/** Enough for slow downloads from Maven and PyPI; a download that hangs is ended. */
const INSTALL_WITHIN_MS = 10 * 60_000;

/** Folder of installed servers and engines: `RECONCILER_TEST_CACHE`, otherwise below HOME, otherwise below the temporary folder. */
export function cacheDir(): string {
  const named = process.env.RECONCILER_TEST_CACHE;
  if (named) return makeFolder(resolve(named));
  try {
    const home = homedir();
    if (home) return makeFolder(join(home, '.cache', 'reconciler-upstreams'));
  } catch {
    // The folder does not exist or is read-only, as in some containers.
  }
  return makeFolder(join(tmpdir(), `reconciler-upstreams-${process.getuid?.() ?? ''}`));
}

/**
 * The folder `name` of the cache, filled by `install` if it does not exist. It appears only when it is complete. If several processes need
 * it, one installs and the others wait.
 */
export async function installed(name: string, install: (folder: string) => Promise<void>): Promise<string> {
  const cache = cacheDir();
  const folder = join(cache, name);
  if (existsSync(folder)) return folder;
  await withLock(join(cache, `${name}.lock`), async () => {
    if (existsSync(folder)) return;
    const unfinished = join(cache, `${name}.unfinished`);
    // The remains of an install that was killed.
    rmSync(unfinished, { recursive: true, force: true });
    mkdirSync(unfinished);
    console.error(`installing ${name} into ${cache}; the first time takes up to a minute`);
    await install(unfinished);
    renameSync(unfinished, folder);
  });
  return folder;
}

/** Runs a tool of an installation. If it fails, throws an error with its output. */
export async function runInstaller(command: string, args: string[]): Promise<void> {
  const result = await runCommand(command, args, { timeoutMs: INSTALL_WITHIN_MS, env: installerEnv() });
  if (result.code !== 0) throw new Error(`\`${command} ${args.join(' ')}\` failed: ${failureOf(result)}`);
}

/** Maven's own repository if it is writable, otherwise one in the cache. */
export function mavenRepository(): string[] {
  try {
    // Java's user.home does not depend on HOME.
    makeFolder(join(userInfo().homedir, '.m2', 'repository'));
    return [];
  } catch {
    return [`-Dmaven.repo.local=${makeFolder(join(cacheDir(), 'm2'))}`];
  }
}

function installerEnv(): NodeJS.ProcessEnv {
  const env = { ...process.env };
  // With an empty HOME, tools would keep their caches in the current folder.
  if (!env.HOME) delete env.HOME;
  return env;
}

function makeFolder(path: string): string {
  mkdirSync(path, { recursive: true });
  accessSync(path, constants.W_OK);
  return path;
}
