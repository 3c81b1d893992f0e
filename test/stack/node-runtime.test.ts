import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { findNode } from '../../src/stack/node-runtime.ts';

let home: string;
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'node-runtime-'));
});
afterEach(() => rmSync(home, { recursive: true, force: true }));

/** A program that prints a version, as Node does. */
function put(path: string, version: string): string {
  const program = join(home, path);
  mkdirSync(dirname(program), { recursive: true });
  writeFileSync(program, `#!/bin/sh\n[ "$*" = --version ] && echo ${version}\n`);
  chmodSync(program, 0o755);
  return program;
}

const own = { command: '/usr/bin/node', version: '20.20.2' };
const find = (env: NodeJS.ProcessEnv = {}, of = own) =>
  findNode({ HOME: home, PATH: `${join(home, 'a')}:${join(home, 'b')}`, ...env }, { own: of });

describe('findNode', () => {
  it('returns its own without another, and without asking others if its own is 24 or newer', async () => {
    expect(await find()).toEqual(own);
    put('a/node', 'v24.4.1');
    const newer = { command: '/usr/bin/node', version: '26.1.0' };
    expect(await find({}, newer)).toEqual(newer);
  });

  it('takes a Node 24 on PATH, not one of another version', async () => {
    put('a/node', 'v22.14.0');
    const command = put('b/node', 'v24.4.1');
    expect(await find()).toEqual({ command, version: '24.4.1' });
    put('b/node', 'v25.0.0');
    expect(await find()).toEqual(own);
  });

  it.each([
    ['.nvm/versions/node/v24.4.1/bin/node', {}],
    ['nvm/versions/node/v24.4.1/bin/node', { NVM_DIR: 'nvm' }],
    ['.local/share/fnm/node-versions/v24.4.1/installation/bin/node', {}],
    ['.local/share/mise/installs/node/24.4.1/bin/node', {}],
    ['.asdf/installs/nodejs/24.4.1/bin/node', {}],
    ['.volta/tools/image/node/24.4.1/bin/node', {}],
  ])('finds %s', async (path, folders: { NVM_DIR?: string }) => {
    const command = put(path, 'v24.4.1');
    const env = Object.fromEntries(Object.entries(folders).map(([name, folder]) => [name, join(home, folder)]));
    expect(await find(env)).toEqual({ command, version: '24.4.1' });
  });

  it('passes over a program that does not run', async () => {
    writeFileSync(put('a/node', 'v24.4.1'), 'not a program');
    const command = put('.nvm/versions/node/v24.4.1/bin/node', 'v24.4.1');
    expect(await find()).toEqual({ command, version: '24.4.1' });
  });
});
