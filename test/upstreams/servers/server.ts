import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from '../../../src/stack/ports.ts';
import { type Reaper, startReaper } from '../../../src/stack/reaper.ts';

/** A real server in its own process, which ends with the test's process, however that ends. */
export interface Server extends AsyncDisposable {
  /** `http://127.0.0.1:PORT`, without a slash at the end. */
  readonly url: string;
  /** The server's output so far. */
  log(): string;
  stop(): Promise<void>;
}

export interface ServerSpec {
  name: string;
  command: string;
  /** Arguments for a free port and a folder of its own, which is deleted when the server stops. */
  start(port: number, folder: string): { args: string[]; env?: NodeJS.ProcessEnv };
  /** Path that returns a status below 400, or below `readyBelow`, once the server is ready. */
  readyPath: string;
  readyBelow?: number;
}

const READY_WITHIN_MS = 90_000;
const STOP_WITHIN_MS = 3_000;
const PORT_TRIES = 5;
const PORT_TAKEN = /address already in use|BindException|EADDRINUSE|seems to be in use/i;

let reaper: Reaper | undefined;

/** Starts a server and waits until it is ready. If it does not become ready, throws an error with the end of its log. */
export async function startServer(spec: ServerSpec): Promise<Server> {
  for (let tries = 1; ; tries++) {
    const folder = mkdtempSync(join(tmpdir(), `upstream-${spec.name}-`));
    const logFile = join(folder, 'log');
    const port = await freePort('127.0.0.1');
    const { args, env } = spec.start(port, folder);
    const child = launch(spec.command, args, { ...process.env, ...env }, logFile);
    const ended = ending(child);
    const stop = async () => {
      await end(child, ended);
      rmSync(folder, { recursive: true, force: true });
    };
    const url = `http://127.0.0.1:${port}`;
    const problem = await Promise.race([becameReady(url + spec.readyPath, spec.readyBelow), ended]);
    if (problem === undefined) {
      return { url, stop, log: () => readFileSync(logFile, 'utf8'), [Symbol.asyncDispose]: stop };
    }
    const log = readFileSync(logFile, 'utf8');
    await stop();
    // Another process has taken the port since it was chosen.
    if (PORT_TAKEN.test(log) && tries < PORT_TRIES) continue;
    const lines = log.trimEnd().split('\n').slice(-15).join('\n  ');
    throw new Error(`${spec.name} ${problem}. Its log ends with:\n  ${lines}`);
  }
}

function launch(command: string, args: string[], env: NodeJS.ProcessEnv, logFile: string): ChildProcess {
  const log = openSync(logFile, 'a');
  // In a process group of its own, so that the reaper ends the processes that it starts too.
  const child = spawn(command, args, { env, stdio: ['ignore', log, log], detached: true, cwd: tmpdir() });
  closeSync(log);
  // The reaper's shell ends the server if the test process is killed.
  reaper ??= startReaper();
  if (child.pid) reaper.add(child.pid);
  // The test process may end without stopping the server.
  child.unref();
  return child;
}

/** Resolves with how the process ended, for messages. */
function ending(child: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    child.once('error', (error) => resolve(`did not start: ${error.message}`));
    child.once('exit', (code, signal) => resolve(`ended at once (${signal ?? `exit ${code}`})`));
  });
}

async function end(child: ChildProcess, ended: Promise<string>): Promise<void> {
  if (!child.pid) return;
  child.kill('SIGTERM');
  await Promise.race([ended, sleep(STOP_WITHIN_MS, undefined, { ref: true })]);
  try {
    process.kill(-child.pid, 'SIGKILL');
  } catch {
    // No process of the group is left.
  }
  await ended;
  reaper?.remove(child.pid);
}

async function becameReady(url: string, below = 400): Promise<string | undefined> {
  const until = Date.now() + READY_WITHIN_MS;
  while (Date.now() < until) {
    const response = await fetch(url, { signal: AbortSignal.timeout(5_000) }).catch(() => undefined);
    await response?.body?.cancel();
    if (response && response.status < below) return undefined;
    await sleep(50);
  }
  return `did not answer at ${url} within ${READY_WITHIN_MS / 1000} s`;
}
