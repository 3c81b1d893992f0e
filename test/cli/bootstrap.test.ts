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
  for (const name of ['bootstrap.js', 'lock.js']) cpSync(join(PROJECT, 'scripts', name), join(root, 'scripts', name));
  put('package.json', '{"type":"module"}');
  put('package-lock.json', lockFile('1.0.0'));
  put('src/cli/main.ts', '');
  put('src/catalog/server.ts', '');
  put('proto/a.proto', '');
  put('tsconfig.json', '{}');
  put('buf.gen.yaml', '');
  put(
    'tools/npm',
    `#!/bin/sh\necho "$@" >> installs; sleep 0.3; mkdir -p node_modules; cp package-lock.json node_modules/.package-lock.json`,
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

async function start(): Promise<{ code: number; stdout: string; stderr: string }> {
  const env = { PATH: `${join(root, 'tools')}:${dirname(process.execPath)}:/usr/bin:/bin` };
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
  it('installs and builds a fresh clone, reports it only on stderr, and passes arguments and exit code on', async () => {
    const { code, stdout, stderr } = await start();
    expect({ code, stdout }).toEqual({ code: 7, stdout: 'ran x --json\n' });
    expect(stderr).toMatch(/^reconciler: installing dependencies \(npm ci\).*\nreconciler: building\n$/);
    expect(readFileSync(join(root, 'installs'), 'utf8')).toMatch(/^ci --include=dev /);
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
    expect((await start()).stderr).toBe('reconciler: building\n');
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

  it('reports a failed installation in one line', async () => {
    put('tools/npm', '#!/bin/sh\nexit 3');
    const { code, stdout, stderr } = await start();
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(/error: npm ci failed \(exit 3\) in /);
    expect(existsSync(join(root, '.build-lock'))).toBe(false);
  });
});
