/**
 * Makes a checkout runnable: installs the dependencies and builds the TypeScript. Plain JavaScript without dependencies, because it
 * runs before anything is installed. It reports its steps on stderr; stdout belongs to the command that follows.
 */
import { spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, realpathSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { withLock } from './lock.js';
import { startStep } from './steps.js';

/** The project's folder. */
export const root = dirname(dirname(fileURLToPath(import.meta.url)));
/** Its modification time is when the sources of `dist` were read. */
export const buildStamp = join(root, 'dist', '.built');
const lockFile = join(root, '.build-lock');
/** A lock of its own, so that the build runs at the same time. */
const sqliteLock = join(root, '.build-lock-sqlite');
const packageLock = join(root, 'package-lock.json');
/** npm's record of what it has installed. */
const installedLock = join(root, 'node_modules', '.package-lock.json');

/** Has a message for people; the output of the failing tool has been shown. */
export class BootstrapError extends Error {}

/**
 * Installs what is missing, then builds what is missing or older than its sources.
 *
 * @param options.dev whether the development dependencies are needed too; see `ensureInstalled`
 */
export async function ensureReady({ dev = false } = {}) {
  await ensureInstalled({ dev });
  // The compiler of SQLite uses one core for most of a minute.
  const outcomes = await Promise.allSettled([ensureSqlite(), ensureBuilt()]);
  // Both have ended: a build that goes on after this process would disturb the next one.
  for (const { reason } of outcomes) if (reason) throw reason;
}

/**
 * Installs the dependencies if they are missing or not those of package-lock.json. A fresh checkout gets no development dependencies
 * unless `dev` requires them, because they are a quarter of everything; a checkout that has them keeps them.
 *
 * Install scripts do not run. The only package that needs its script is better-sqlite3 on an older Node; see `ensureSqlite`.
 */
export async function ensureInstalled({ dev = false } = {}) {
  if (isInstalled(dev)) return;
  await locked(async () => {
    if (isInstalled(dev)) return;
    const withDev = dev || (existsSync(installedLock) && !lacksDev());
    const paths = expectedPackages(withDev);
    const present = () => paths.filter((path) => existsSync(join(root, path, 'package.json'))).length;
    const end = startStep('installing dependencies (npm ci)', () => `${present()} of ${paths.length} packages`);
    const option = withDev ? '--include=dev' : '--omit=dev';
    await run([...npm(), 'ci', option, '--ignore-scripts', ...QUIET], end, {
      failed: 'npm ci',
      hint: 'If the registry cannot be reached, check the network and the proxy and registry in ~/.npmrc; then run the same command again.',
    });
    end(`installed ${present()} packages`);
  });
}

/**
 * Makes better-sqlite3 12 usable if this Node needs it; see docs/decisions/sqlite.md. Its script downloads a binary from GitHub, or
 * compiles one.
 */
async function ensureSqlite() {
  if (hasSqlite()) return;
  await locked(async () => {
    if (hasSqlite()) return;
    let compiles = false;
    const end = startStep(`preparing SQLite for Node ${process.versions.node}`, () => (compiles ? 'compiling' : ''));
    await run(
      [...npm(), 'rebuild', 'better-sqlite3', '--ignore-scripts=false', '--foreground-scripts', ...QUIET],
      end,
      {
        onOutput: (text) => (compiles ||= /node-gyp|gyp info|\bmake\b/.test(text)),
        failed: 'Preparing SQLite',
        hint:
          'Its binary could be neither downloaded from GitHub nor compiled. Install a C++ compiler, make and Python 3 ' +
          '(on Debian: apt install build-essential python3), or use Node 22.14 or newer, which needs none of them.',
      },
    );
    end(compiles ? 'compiled SQLite (unnecessary from Node 22.14 on)' : 'prepared SQLite');
  }, sqliteLock);
}

/** Builds `dist` if it is missing or older than the sources. A package without sources is built already. */
export async function ensureBuilt() {
  if (isBuilt()) return;
  await locked(async () => {
    if (isBuilt()) return;
    const end = startStep('building');
    await run([process.execPath, join(root, 'scripts', 'build.js'), '--locked'], end, { failed: 'The build' });
    end('built');
  });
}

/**
 * Runs `action` while no other process installs or builds in this checkout.
 *
 * @throws BootstrapError if the checkout cannot be written to
 */
export async function locked(action, file = lockFile) {
  try {
    return await withLock(file, action, (owner) =>
      startStep(`waiting for process ${owner}, which installs or builds here`),
    );
  } catch (error) {
    if (error.code !== 'EACCES' && error.code !== 'EROFS' && error.code !== 'EPERM') throw error;
    throw new BootstrapError(
      `${root} has to be installed and built, but cannot be written to (${error.code}). Run \`npm ci && npm run build\` there as its owner.`,
    );
  }
}

const QUIET = ['--no-audit', '--no-fund', '--loglevel=error'];
/** Characters of a tool's output that are shown if it fails. */
const MAX_SHOWN = 4_000;

const npm = () => (process.env.npm_execpath?.endsWith('.js') ? [process.execPath, process.env.npm_execpath] : ['npm']);

/** Runs a tool to its end. Its output is shown only if it fails. */
async function run([command, ...args], end, { failed, hint = '', onOutput }) {
  const env = { ...nodeHeaders(), ...process.env };
  // With an empty HOME, npm would keep its cache in a folder named `~`.
  if (!env.HOME) delete env.HOME;
  let output = '';
  const outcome = await new Promise((resolve) => {
    const child = spawn(command, args, { cwd: root, env, stdio: ['ignore', 'pipe', 'pipe'] });
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text) => {
        onOutput?.(text);
        output = (output + text).slice(-64 * 1024);
      });
    }
    child.once('error', ({ message }) => resolve(message));
    child.once('close', (status, signal) => resolve(status === 0 ? undefined : (signal ?? `exit ${status}`)));
  });
  if (outcome === undefined) return;
  end();
  process.stderr.write(excerpt(output));
  throw new BootstrapError(`${failed} failed (${outcome}) in ${root}${hint && `. ${hint}`}`);
}

/** npm's own errors if there are any, otherwise the end of the output. */
function excerpt(output) {
  const lines = output.trimEnd().split('\n');
  const errors = lines.filter((line) => /^(npm error|gyp ERR!)/.test(line) && !/^npm error +at /.test(line));
  const text = (errors.length > 0 ? errors : lines).join('\n').slice(-MAX_SHOWN);
  return text && `${text}\n`;
}

/** Folders of the packages that npm installs on this machine. */
function expectedPackages(withDev) {
  const suits = (wanted, own) =>
    !wanted || wanted.includes(own) || (wanted[0]?.startsWith('!') && !wanted.includes(`!${own}`));
  return Object.entries(packagesOf(packageLock))
    .filter(([path, { dev, os, cpu }]) => {
      return path !== '' && (withDev || !dev) && suits(os, process.platform) && suits(cpu, process.arch);
    })
    .map(([path]) => path);
}

/** Whether this Node can load the version of better-sqlite3 that it needs; src/catalog/store/database/sqlite.ts chooses it. */
function hasSqlite() {
  const folder = join(root, 'node_modules', 'better-sqlite3');
  if (Number(process.versions.napi) >= 10 || !existsSync(folder)) return true;
  const binary = join(folder, 'build', 'Release', 'better_sqlite3.node');
  if (!existsSync(binary)) return false;
  try {
    // Fails for a binary that was compiled for another version of Node.
    process.dlopen({ exports: {} }, binary);
    return true;
  } catch {
    return false;
  }
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
      path === '' ||
      (entry.optional && !installed[path]) ||
      (entry.dev && withoutDev) ||
      installed[path]?.version === entry.version,
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
