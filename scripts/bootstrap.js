/**
 * Makes a checkout runnable: dependencies installed, TypeScript built. Plain JavaScript without a dependency, since it runs
 * when nothing is there yet. Whatever it does, it says in one line on stderr; stdout belongs to the command that follows.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, realpathSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { withLock } from './lock.js';

/** The project's folder. */
export const root = dirname(dirname(fileURLToPath(import.meta.url)));
/** Its time is when the sources of `dist` were read. */
export const buildStamp = join(root, 'dist', '.built');
const lockFile = join(root, '.build-lock');

/** Thrown with a message for people, after the failing tool has said what is wrong. */
export class BootstrapError extends Error {}

/** Installs the dependencies where they are missing or not those of package-lock.json. */
export function ensureInstalled() {
  if (isInstalled()) return;
  locked(() => {
    if (isInstalled()) return;
    console.error('reconciler: installing dependencies (npm ci); the first time takes a minute or two');
    const npm = process.env.npm_execpath?.endsWith('.js') ? [process.execPath, process.env.npm_execpath] : ['npm'];
    run([...npm, 'ci', '--include=dev', '--no-audit', '--no-fund', '--loglevel=error'], 'npm ci');
  });
}

/** Builds `dist` where it is missing or older than the sources. A package without sources is built already. */
export function ensureBuilt() {
  if (isBuilt()) return;
  locked(() => {
    if (isBuilt()) return;
    console.error('reconciler: building');
    run([process.execPath, join(root, 'scripts', 'build.js'), '--locked'], 'The build');
  });
}

/** Runs `action` while no other process installs or builds in this checkout. */
export function locked(action) {
  try {
    return withLock(lockFile, action);
  } catch (error) {
    if (error.code !== 'EACCES' && error.code !== 'EROFS' && error.code !== 'EPERM') throw error;
    throw new BootstrapError(
      `${root} has to be installed and built, but cannot be written to (${error.code}). Run \`npm ci && npm run build\` there as its owner.`,
    );
  }
}

function run([command, ...args], what) {
  const env = { ...nodeHeaders(), ...process.env };
  // An empty one makes npm keep its cache in a folder named `~`.
  if (!env.HOME) delete env.HOME;
  const { status, signal, error } = spawnSync(command, args, { cwd: root, env, stdio: ['ignore', 2, 2] });
  if (error) throw new BootstrapError(`${what} could not start: ${error.message}`);
  if (status !== 0) throw new BootstrapError(`${what} failed (${signal ?? `exit ${status}`}) in ${root}`);
}

/** Native modules are compiled with the headers that came with node, where they did: nothing has to be downloaded for them. */
function nodeHeaders() {
  const prefix = dirname(dirname(realpathSync(process.execPath)));
  return existsSync(join(prefix, 'include', 'node', 'node.h')) ? { npm_config_nodedir: prefix } : {};
}

function isInstalled() {
  const wanted = join(root, 'package-lock.json');
  const installed = join(root, 'node_modules', '.package-lock.json');
  if (!existsSync(wanted)) return true;
  if (!existsSync(installed)) return false;
  // A checkout of another branch and back makes the lock file newer, but not different.
  return statSync(installed).mtimeMs >= statSync(wanted).mtimeMs || sameVersions(wanted, installed);
}

function sameVersions(wanted, installed) {
  const have = JSON.parse(readFileSync(installed, 'utf8')).packages;
  return Object.entries(JSON.parse(readFileSync(wanted, 'utf8')).packages).every(
    ([path, entry]) => path === '' || entry.optional || have[path]?.version === entry.version,
  );
}

function isBuilt() {
  const src = join(root, 'src');
  if (!existsSync(src)) return true;
  // The tests and tools read the generated code in src, which is not committed.
  if (!existsSync(buildStamp) || !existsSync(join(src, 'generated', 'descriptors.binpb'))) return false;
  const built = statSync(buildStamp).mtimeMs;
  const files = ['tsconfig.json', 'buf.gen.yaml', join('scripts', 'build.js')].map((name) => join(root, name));
  return (
    files.every((file) => !isNewer(file, built)) &&
    !hasNewer(src, built, 'generated') &&
    !hasNewer(join(root, 'proto'), built)
  );
}

/** Also by the time of the folders in it: a file that was deleted leaves no other trace. */
function hasNewer(folder, time, except) {
  return readdirSync(folder, { withFileTypes: true }).some((entry) => {
    const path = join(folder, entry.name);
    if (entry.name === except) return false;
    return isNewer(path, time) || (entry.isDirectory() && hasNewer(path, time));
  });
}

/** A file that went away meanwhile is no reason to fail. */
function isNewer(path, time) {
  return (statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0) > time;
}
