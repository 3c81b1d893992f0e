import { execFile } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';

const PROJECT = join(import.meta.dirname, '../..');

/** A checkout in which `npm ci` and the build only record that they ran. */
let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'bootstrap-'));
  cpSync(join(PROJECT, 'bin'), join(root, 'bin'), { recursive: true });
  for (const name of ['bootstrap.js', 'lock.js', 'steps.js'])
    cpSync(join(PROJECT, 'scripts', name), join(root, 'scripts', name));
  put('package.json', '{"type":"module"}');
  put('package-lock.json', lockFile('1.0.0'));
  put('src/cli/main.ts', '');
  put('src/catalog/server.ts', '');
  put('proto/a.proto', '');
  put('tsconfig.json', '{}');
  put('buf.gen.yaml', '');
  put(
    'tools/npm',
    `#!/bin/sh\necho "$@" >> installs; sleep 0.3; mkdir -p node_modules; cp package-lock.json node_modules/.package-lock.json
[ "$1" = rebuild ] || mkdir -p node_modules/a && echo '{}' > node_modules/a/package.json`,
  );
  chmodSync(join(root, 'tools/npm'), 0o755);
  put(
    'scripts/build.js',
    `import { appendFileSync, mkdirSync, writeFileSync } from 'node:fs';
     appendFileSync('builds', 'built\\n');
     for (const folder of ['dist/cli', 'src/generated']) mkdirSync(folder, { recursive: true });
     writeFileSync('src/generated/descriptors.binpb', '');
     writeFileSync('dist/cli/main.js', "export async function main(args) { console.log('ran', ...args); return 7; }");
     writeFileSync('dist/.built', '');`,
  );
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

function put(name: string, text: string): void {
  mkdirSync(dirname(join(root, name)), { recursive: true });
  writeFileSync(join(root, name), text);
}

const lockFile = (version: string) => JSON.stringify({ packages: { '': {}, 'node_modules/a': { version } } });

async function start(more: Record<string, string> = {}): Promise<{ code: number; stdout: string; stderr: string }> {
  const env = { PATH: `${join(root, 'tools')}:${dirname(process.execPath)}:/usr/bin:/bin`, ...more };
  const run = promisify(execFile)(process.execPath, [join(root, 'bin/reconciler.js'), 'x', '--json'], {
    env,
    cwd: tmpdir(),
  });
  return run.then(({ stdout, stderr }) => ({ code: 0, stdout, stderr })).catch((error) => error);
}

const times = (name: string) =>
  existsSync(join(root, name)) ? readFileSync(join(root, name), 'utf8').trim().split('\n').length : 0;
const later = (name: string) =>
  utimesSync(join(root, name), new Date(Date.now() + 5_000), new Date(Date.now() + 5_000));

describe('a start', () => {
  it('installs and builds a fresh clone, reports it only on stderr with times, and passes arguments and exit code on', async () => {
    const { code, stdout, stderr } = await start();
    expect({ code, stdout }).toEqual({ code: 7, stdout: 'ran x --json\n' });
    const lines = ['installing dependencies (npm ci)', 'installed 1 packages in N s', 'building', 'built in N s'];
    expect(stderr.replaceAll(/\d+(\.\d)? s\n/g, 'N s\n')).toBe(lines.map((line) => `reconciler: ${line}\n`).join(''));
  });

  it('installs no development dependencies and runs no install scripts in a fresh clone', async () => {
    await start();
    expect(readFileSync(join(root, 'installs'), 'utf8')).toMatch(/^ci --omit=dev --ignore-scripts /);
  });

  it('keeps the development dependencies of a checkout that has them', async () => {
    const packages = {
      '': {},
      'node_modules/a': { version: '1.0.0' },
      'node_modules/b': { version: '1.0.0', dev: true },
    };
    put('node_modules/.package-lock.json', JSON.stringify({ packages }));
    put('package-lock.json', JSON.stringify({ packages: { ...packages, 'node_modules/a': { version: '2.0.0' } } }));
    later('package-lock.json');
    await start();
    expect(readFileSync(join(root, 'installs'), 'utf8')).toMatch(/^ci --include=dev --ignore-scripts /);
  });

  it('does nothing the second time', async () => {
    await start();
    expect((await start()).stderr).toBe('');
    expect([times('installs'), times('builds')]).toEqual([1, 1]);
  });

  it('builds again if a source or a proto changed, or a source was deleted', async () => {
    await start();
    later('src/cli/main.ts');
    await start();
    expect(times('builds')).toBe(2);
    utimesSync(join(root, 'src/cli/main.ts'), 0, 0);
    later('proto/a.proto');
    await start();
    expect(times('builds')).toBe(3);
    utimesSync(join(root, 'proto/a.proto'), 0, 0);
    later('src/catalog');
    await start();
    expect(times('builds')).toBe(4);
  });

  it('installs again if the lock file differs, not if it is only newer', async () => {
    await start();
    later('package-lock.json');
    await start();
    expect(times('installs')).toBe(1);
    put('package-lock.json', lockFile('2.0.0'));
    later('package-lock.json');
    await start();
    expect(times('installs')).toBe(2);
  });

  it('keeps and updates an installation without development dependencies', async () => {
    const withDev = (version: string) =>
      JSON.stringify({
        packages: { '': {}, 'node_modules/a': { version }, 'node_modules/b': { version: '1.0.0', dev: true } },
      });
    put('package-lock.json', withDev('1.0.0'));
    put('node_modules/.package-lock.json', lockFile('1.0.0'));
    later('package-lock.json');
    expect((await start()).stderr).toMatch(/^reconciler: building\nreconciler: built in [\d.]+ s\n$/);
    expect(times('installs')).toBe(0);
    put('package-lock.json', withDev('2.0.0'));
    later('package-lock.json');
    await start();
    expect(readFileSync(join(root, 'installs'), 'utf8')).toMatch(/^ci --omit=dev /);
  });

  it('installs and builds once when two start at the same time', async () => {
    const both = await Promise.all([start(), start(), start()]);
    expect(both.map(({ stdout }) => stdout)).toEqual(Array(3).fill('ran x --json\n'));
    expect([times('installs'), times('builds')]).toEqual([1, 1]);
    expect(existsSync(join(root, '.build-lock'))).toBe(false);
  });

  it('takes over the lock of a start that was killed', async () => {
    put('.build-lock', '999999999');
    expect((await start()).stdout).toBe('ran x --json\n');
  });

  it("reports a failed installation with npm's own errors and what to do", async () => {
    put(
      'tools/npm',
      '#!/bin/sh\necho chatter; echo "npm error code ENOTFOUND\nnpm error     at node:internal" >&2; exit 3',
    );
    const { code, stdout, stderr } = await start();
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(
      /^reconciler: installing .*\nnpm error code ENOTFOUND\nerror: npm ci failed \(exit 3\) in \S+\. If the registry cannot be reached, .*\n$/,
    );
    expect(existsSync(join(root, '.build-lock'))).toBe(false);
  });
});

const BINARY = 'node_modules/better-sqlite3/build/Release/better_sqlite3.node';

describe('the line of steps that run at the same time', () => {
  it('leaves out a step for which there is no room, so that no number is cut', async () => {
    const states = ['preparing SQLite for Node 20.20.2, compiling, 61 s', 'building, 12 s'];
    const script = `import { lineOf } from '${join(PROJECT, 'scripts/steps.js')}';
      for (const width of [79, 70]) console.log(lineOf(${JSON.stringify(states)}, width));`;
    const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script]);
    expect(stdout).toBe(`reconciler: ${states.join('; ')}\nreconciler: ${states[0]}\n`);
  });
});

describe('SQLite on a Node before 22.14', () => {
  // Newer versions of Node load a version of better-sqlite3 that is never compiled.
  const old = 'Object.defineProperty(process, "versions", { value: { ...process.versions, napi: "9" } })';
  const startOld = () => start({ NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(old)}` });
  beforeEach(() => put('node_modules/better-sqlite3/package.json', '{}'));
  const rebuilds = () =>
    (readFileSync(join(root, 'installs'), 'utf8').match(/^rebuild better-sqlite3 /gm) ?? []).length;
  /** Replaces npm; `$1` is its command. */
  const npm = (rebuild: string) => {
    const ci = 'mkdir -p node_modules; cp package-lock.json node_modules/.package-lock.json';
    put('tools/npm', `#!/bin/sh\necho "$@" >> installs\nif [ "$1" = rebuild ]; then ${rebuild}; else ${ci}; fi`);
  };

  it('is prepared once, also if its binary belongs to another Node', async () => {
    npm(`mkdir -p $(dirname ${BINARY}); cp ${join(PROJECT, BINARY)} ${BINARY}`);
    put(BINARY, 'not for this Node');
    expect((await startOld()).stderr).toMatch(
      /^reconciler: preparing SQLite for Node [\d.]+$[\s\S]*^reconciler: prepared SQLite in/m,
    );
    await startOld();
    expect(rebuilds()).toBe(1);
  });

  it('is reported with what to do if it cannot be prepared', async () => {
    npm('echo "gyp ERR! find Python" >&2; exit 1');
    const { code, stdout, stderr } = await startOld();
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(/^gyp ERR! find Python$/m);
    expect(stderr).toMatch(
      /error: Preparing SQLite failed \(exit 1\) in .*Install a C\+\+ compiler, make and Python 3 .*Node 22\.14/,
    );
  });
});
