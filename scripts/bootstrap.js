/**
 * Makes a checkout runnable: installs the dependencies and builds the TypeScript. Plain JavaScript without dependencies, because it
 * runs before anything is installed. It reports each step in one line on stderr; stdout belongs to the command that follows.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, realpathSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { withLock } from './lock.js';

/** The project's folder. */
export const root = dirname(dirname(fileURLToPath(import.meta.url)));
/** Its modification time is when the sources of `dist` were read. */
export const buildStamp = join(root, 'dist', '.built');
const lockFile = join(root, '.build-lock');
const packageLock = join(root, 'package-lock.json');
/** npm's record of what it has installed. */
const installedLock = join(root, 'node_modules', '.package-lock.json');

/** Has a message for people; the failing tool has already reported the details. */
export class BootstrapError extends Error {}

/**
 * Installs the dependencies if they are missing or not those of package-lock.json. A checkout that was installed without development
 * dependencies (`npm ci --omit=dev`) stays without them, unless `dev` requires them.
 */
export function ensureInstalled({ dev = false } = {}) {
  if (isInstalled(dev)) return;
  locked(() => {
    if (isInstalled(dev)) return;
    console.error('reconciler: installing dependencies (npm ci); the first time takes a minute or two');
    const npm = process.env.npm_execpath?.endsWith('.js') ? [process.execPath, process.env.npm_execpath] : ['npm'];
    const option = !dev && existsSync(installedLock) && lacksDev() ? '--omit=dev' : '--include=dev';
    run([...npm, 'ci', option, '--no-audit', '--no-fund', '--loglevel=error'], 'npm ci');
  });
}

/** Builds `dist` if it is missing or older than the sources. A package without sources is built already. */
export function ensureBuilt() {
  if (isBuilt()) return;
  locked(() => {
    if (isBuilt()) return;
    console.error('reconciler: building');
    run([process.execPath, join(root, 'scripts', 'build.js'), '--locked'], 'The build');
  });
}

/**
 * Runs `action` while no other process installs or builds in this checkout.
 *
 * @throws BootstrapError if the checkout cannot be written to
 */
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
  // With an empty HOME, npm would keep its cache in a folder named `~`.
  if (!env.HOME) delete env.HOME;
  const { status, signal, error } = spawnSync(command, args, { cwd: root, env, stdio: ['ignore', 2, 2] });
  if (error) throw new BootstrapError(`${what} could not start: ${error.message}`);
  if (status !== 0) throw new BootstrapError(`${what} failed (${signal ?? `exit ${status}`}) in ${root}`);
}

/** Native modules are compiled with the headers that came with Node, if there are any, so that none have to be downloaded. */
function nodeHeaders() {
  const prefix = dirname(dirname(realpathSync(process.execPath)));
  return existsSync(join(prefix, 'include', 'node', 'node.h')) ? { npm_config_nodedir: prefix } : {};
}

function isInstalled(dev) {
  if (!existsSync(packageLock)) return true;
  if (!existsSync(installedLock) || (dev && lacksDev())) return false;
  // Checking out another branch and back makes the lock file newer, but not different.
  return statSync(installedLock).mtimeMs >= statSync(packageLock).mtimeMs || sameVersions();
}

function sameVersions() {
  const installed = packagesOf(installedLock);
  const withoutDev = lacksDev();
  return Object.entries(packagesOf(packageLock)).every(
    ([path, entry]) =>
      path === '' || entry.optional || (entry.dev && withoutDev) || installed[path]?.version === entry.version,
  );
}

const packagesOf = (lock) => JSON.parse(readFileSync(lock, 'utf8')).packages;

/** Whether none of the development dependencies is installed. */
function lacksDev() {
  const dev = Object.entries(packagesOf(packageLock)).filter(([, entry]) => entry.dev);
  const installed = packagesOf(installedLock);
  return dev.length > 0 && !dev.some(([path]) => installed[path]);
}

function isBuilt() {
  const src = join(root, 'src');
  if (!existsSync(src)) return true;
  // The tests and tools read the generated code in src, which is not in git.
  if (!existsSync(buildStamp) || !existsSync(join(src, 'generated', 'descriptors.binpb'))) return false;
  const built = statSync(buildStamp).mtimeMs;
  const files = ['tsconfig.json', 'buf.gen.yaml', join('scripts', 'build.js')].map((name) => join(root, name));
  return (
    files.every((file) => !isNewer(file, built)) &&
    !hasNewer(src, built, 'generated') &&
    !hasNewer(join(root, 'proto'), built)
  );
}

/** Compares the times of folders too, because a deleted file leaves no other trace. */
function hasNewer(folder, time, except) {
  return readdirSync(folder, { withFileTypes: true }).some((entry) => {
    const path = join(folder, entry.name);
    if (entry.name === except) return false;
    return isNewer(path, time) || (entry.isDirectory() && hasNewer(path, time));
  });
}

/** False for a file that has just been deleted. */
function isNewer(path, time) {
  return (statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0) > time;
}
