import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { freePort } from '../../src/stack/ports.ts';

const ROOT = join(import.meta.dirname, '../..');
const BIN = join(ROOT, 'bin/reconciler.js');
const LAKEHOUSE = join(ROOT, 'samples/lakehouse');
/** `nobody`. Only root can become another user; as any other user, the test looks at the permissions. */
const NOBODY = process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : undefined;

let dataDir: string;
let address: string;
let token: string;
let up: ChildProcess;
let output = '';

beforeAll(async () => {
  dataDir = mkdtempSync(join(tmpdir(), 'private-'));
  chmodSync(dataDir, 0o755);
  const ports = [await freePort('127.0.0.1'), await freePort('127.0.0.1')];
  address = `127.0.0.1:${ports[0]}`;
  const args = [BIN, 'up', '--data-dir', dataDir, '--port', String(ports[0]), '--ui-port', String(ports[1])];
  // What is meant for another catalog service must not reach the stack.
  const env = { ...process.env, RECONCILER_TOKEN: 'rct_of-another', RECONCILER_TENANT: 'another' };
  up = spawn(process.execPath, args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
  for (const stream of [up.stdout!, up.stderr!]) stream.on('data', (chunk: Buffer) => (output += chunk));
  while (!/^ready/m.test(output)) {
    if (up.exitCode !== null) throw new Error(output);
    await sleep(50);
  }
  token = readFileSync(join(dataDir, 'token'), 'utf8').trim();
});
afterAll(async () => {
  up.kill('SIGTERM');
  if (up.exitCode === null) await once(up, 'exit');
  rmSync(dataDir, { recursive: true, force: true });
});

function cli(args: string[], env: NodeJS.ProcessEnv = {}, user?: { uid: number; gid: number }) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [BIN, ...args], {
    env: { PATH: process.env.PATH, HOME: '/nonexistent', RECONCILER_DATA_DIR: dataDir, ...env },
    encoding: 'utf8',
    ...user,
  });
  return { status, stdout, stderr };
}

/** Paths below the data directory. Temporal's journal comes and goes. */
const files = () =>
  readdirSync(dataDir, { recursive: true, encoding: 'utf8' })
    .filter((name) => !name.endsWith('-journal'))
    .map((name) => join(dataDir, name));

describe('a stack', () => {
  it('is used by its owner without any setting but the data directory, and its jobs succeed', () => {
    const create = ['create', 'lake', '--kind', 'iceberg', '--uri', pathToFileURL(LAKEHOUSE).href];
    expect(cli(['connector', ...create, '--destination-catalog', 'main'])).toMatchObject({ status: 0 });
    expect(cli(['connector', 'trigger', 'lake', '--wait'])).toMatchObject({ status: 0 });
  });

  it('is refused to another user of the machine', () => {
    // Everything that the owner sets is known to the other user, too.
    const env = { RECONCILER_ADDRESS: address, ...(NOBODY === undefined && { RECONCILER_DATA_DIR: '/nonexistent' }) };
    for (const args of [
      ['connector', 'list'],
      ['connector', 'update', 'lake', '--uri', 'file:///etc'],
      ['token', 'create', 'me', '--role', 'admin'],
    ]) {
      const { status, stdout, stderr } = cli(args, env, NOBODY);
      expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
      expect(stderr).toMatch(/^error: the catalog needs a token/);
    }
  });

  it('has no file that another user can read', () => {
    const all = [dataDir, ...files()];
    expect(all).toContain(join(dataDir, 'token'));
    expect(all.filter((path) => (statSync(path).mode & 0o077) !== 0)).toEqual([]);
    if (NOBODY === undefined) return;
    const readable = all.filter((path) => spawnSync('cat', [path], NOBODY).status === 0);
    expect(readable).toEqual([]);
    expect(spawnSync('ls', [dataDir], { ...NOBODY, encoding: 'utf8' }).stdout).toBe('');
  });

  it('shows its token nowhere but in the file of the token', () => {
    const secret = token.slice(-43);
    expect(secret).toHaveLength(43);
    const holders = files().filter((path) => statSync(path).isFile() && readFileSync(path).includes(secret));
    expect(holders).toEqual([join(dataDir, 'token')]);
    expect(output).not.toContain(secret);
    expect(execFileSync('ps', ['axww', '-o', 'args'], { encoding: 'utf8' })).not.toContain(secret);
    // Nothing of what was meant for another catalog service was used.
    const all = files().filter((path) => statSync(path).isFile());
    expect(all.filter((path) => readFileSync(path).includes('of-another'))).toEqual([]);
    const processes = Object.values(JSON.parse(readFileSync(join(dataDir, 'stack.json'), 'utf8')).processes);
    expect(processes).toHaveLength(3);
  });
});
