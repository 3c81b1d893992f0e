import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { isAlive } from '../../src/stack/lock-file.ts';
import { freePort, isPortFree } from '../../src/stack/ports.ts';
import { readStackFile, type StackFile } from '../../src/stack/stack-file.ts';
import { listeningSockets } from './listening-sockets.ts';

/** The command that users run, with real processes and a real Temporal dev server. */
const BIN = join(import.meta.dirname, '../../bin/reconciler.js');

interface Run {
  process: ChildProcess;
  dataDir: string;
  output(): string;
  /** Resolves when the output matches `pattern`; rejects if the process ends first. */
  until(pattern: RegExp): Promise<void>;
  ended(): Promise<number | null>;
}

const runs: Run[] = [];
const folders: string[] = [];

function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'up-'));
  folders.push(folder);
  return folder;
}

function up(dataDir: string, ...args: string[]): Run {
  const env = {
    ...process.env,
    RECONCILER_ADDRESS: undefined,
    TEMPORAL_ADDRESS: 'production.invalid:7233',
    TEMPORAL_TLS: 'true',
  };
  const child = spawn(process.execPath, [BIN, 'up', '--data-dir', dataDir, ...args], {
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let text = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
  const exit = once(child, 'close').then(([code]) => code as number | null);
  const run: Run = {
    process: child,
    dataDir,
    output: () => text,
    async until(pattern) {
      while (!pattern.test(text)) {
        if (child.exitCode !== null) throw new Error(`ended with ${child.exitCode}: ${text}`);
        await sleep(50);
      }
    },
    ended: () => exit,
  };
  runs.push(run);
  return run;
}

const pidsOf = (dataDir: string) => Object.values((readStackFile(dataDir) as StackFile).processes) as number[];

async function eventually(check: () => boolean): Promise<void> {
  const until = Date.now() + 20_000;
  while (!check()) {
    if (Date.now() > until) expect(check()).toBe(true);
    await sleep(50);
  }
}

afterAll(async () => {
  for (const { process: child, ended } of runs) {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGTERM');
    await ended();
  }
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

describe('reconciler up', () => {
  let run: Run;
  let port: number;
  let uiPort: number;

  beforeAll(async () => {
    [port, uiPort] = [await freePort('127.0.0.1'), await freePort('127.0.0.1')];
    const dataDir = newFolder();
    chmodSync(dataDir, 0o755);
    const umask = process.umask(0o022);
    run = up(dataDir, '--port', String(port), '--ui-port', String(uiPort));
    process.umask(umask);
    await run.until(/^ready/m);
  });

  it('prints all addresses, and `ready` as the last line', () => {
    expect(run.output()).toContain(`127.0.0.1:${port}`);
    expect(run.output()).toContain(`http://127.0.0.1:${uiPort}`);
    expect(run.output()).toContain(run.dataDir);
    expect(run.output().trimEnd().split('\n').at(-1)).toMatch(/^ready/);
    expect(readStackFile(run.dataDir)).toMatchObject({
      pid: run.process.pid,
      address: `127.0.0.1:${port}`,
      uiUrl: `http://127.0.0.1:${uiPort}`,
    });
    expect(Object.keys((readStackFile(run.dataDir) as StackFile).processes)).toEqual(['temporal', 'catalog', 'worker']);
  });

  it('serves the Temporal UI and keeps its logs in the data directory', async () => {
    expect((await fetch(`http://127.0.0.1:${uiPort}`)).status).toBe(200);
    for (const name of ['temporal', 'catalog', 'worker'])
      expect(existsSync(join(run.dataDir, 'logs', `${name}.log`))).toBe(true);
  });

  it('lets nobody else read its files, however open the umask is', () => {
    // Temporal's journal comes and goes.
    const modeOf = (name: string) =>
      (statSync(join(run.dataDir, name), { throwIfNoEntry: false })?.mode ?? 0o600) & 0o777;
    const names = readdirSync(run.dataDir, { recursive: true, encoding: 'utf8' });
    expect(names).toEqual(expect.arrayContaining(['catalog.db-wal', 'temporal.db', 'up.lock', 'logs/worker.log']));
    const shared = ['.', ...names].filter((name) => (modeOf(name) & 0o077) !== 0);
    expect(shared).toEqual([]);
  });

  it('listens only on this machine', () => {
    const sockets = pidsOf(run.dataDir).flatMap(listeningSockets);
    const { address, temporalAddress, observed } = readStackFile(run.dataDir) as StackFile;
    const addresses = [address, temporalAddress, observed.catalog.health, observed.worker.metrics];
    const known = [...addresses.map((at) => Number(at.split(':')[1])), uiPort];
    expect(sockets.map(({ port: at }) => at)).toEqual(expect.arrayContaining(known));
    expect(sockets.filter(({ isLoopback }) => !isLoopback)).toEqual([]);
  });

  it('refuses a second stack on the same data directory and names the first', async () => {
    const second = up(run.dataDir);
    expect(await second.ended()).toBe(1);
    expect(second.output()).toMatch(
      new RegExp(`another stack runs on .*: pid ${run.process.pid}, catalog at 127.0.0.1:${port}`),
    );
    expect(isAlive(run.process.pid as number)).toBe(true);
  });

  it.each(['worker', 'catalog', 'temporal'])('restarts the %s if it is killed', async (name) => {
    const before = (readStackFile(run.dataDir) as StackFile).processes[name] as number;
    process.kill(before, 'SIGKILL');
    await run.until(new RegExp(`${name} ended \\(SIGKILL\\); starting it again`));
    await eventually(() => {
      const now = readStackFile(run.dataDir)?.processes[name];
      return now !== undefined && now !== before && isAlive(now);
    });
  });

  it('stops everything on SIGTERM, even if each process has received it', async () => {
    const pids = pidsOf(run.dataDir);
    expect(pids).toHaveLength(3);
    const before = run.output().length;
    run.process.kill('SIGTERM');
    for (const pid of pids.slice(1)) process.kill(pid, 'SIGTERM');
    expect(await run.ended()).toBe(0);
    expect(pids.filter(isAlive)).toEqual([]);
    expect(run.output().slice(before)).toBe('stopping\n');
    expect(readStackFile(run.dataDir)?.pid).toBeUndefined();
  });

  it('leaves no orphans when it is killed, and then starts again on the same data', async () => {
    const killed = up(run.dataDir, '--port', String(port), '--ui-port', String(uiPort));
    await killed.until(/^ready/m);
    const pids = pidsOf(run.dataDir);
    killed.process.kill('SIGKILL');
    await eventually(() => pids.every((pid) => !isAlive(pid)));

    const next = up(run.dataDir, '--port', String(port), '--ui-port', String(uiPort));
    await next.until(/^ready/m);
    next.process.kill('SIGINT');
    expect(await next.ended()).toBe(0);
  });
});

describe('reconciler up that fails', () => {
  const server = createServer();
  let taken: number;

  beforeAll(async () => {
    taken = await freePort('127.0.0.1');
    await new Promise<void>((resolve) => server.listen(taken, '127.0.0.1', resolve));
  });
  afterAll(() => void server.close());
  const folder = newFolder();
  afterEach(() => expect(existsSync(join(folder, 'up.lock'))).toBe(false));

  it.each(['--port', '--ui-port'])('exits with 2 if the port named by %s is taken', async (option) => {
    const run = up(folder, option, String(taken));
    expect(await run.ended()).toBe(2);
    expect(run.output()).toContain(`error: ${option} ${taken} is taken`);
  });

  it('exits with 2 for a wrong RECONCILER_TEMPORAL_CLI', async () => {
    process.env.RECONCILER_TEMPORAL_CLI = '/absent/temporal';
    const run = up(folder);
    delete process.env.RECONCILER_TEMPORAL_CLI;
    expect(await run.ended()).toBe(2);
    expect(run.output()).toContain('RECONCILER_TEMPORAL_CLI=/absent/temporal');
  });

  it('stops the processes that have started if it is stopped before it is ready', async () => {
    const uiPort = await freePort('127.0.0.1');
    const run = up(folder, '--port', String(await freePort('127.0.0.1')), '--ui-port', String(uiPort));
    await eventually(() => existsSync(join(folder, 'temporal.db')));
    run.process.kill('SIGTERM');
    expect(await run.ended()).toBe(0);
    expect(run.output()).not.toMatch(/^ready/m);
    expect(await isPortFree('127.0.0.1', uiPort)).toBe(true);
  });
});
