import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from '../../../src/stack/ports.ts';
import { type Reaper, startReaper } from '../../../src/stack/reaper.ts';

/** A real server in a process of its own; it ends with the test's process, however that ends. */
export interface Server extends AsyncDisposable {
  /** `http://127.0.0.1:PORT`, no slash behind. */
  readonly url: string;
  /** What it printed so far. */
  log(): string;
  stop(): Promise<void>;
}

export interface ServerSpec {
  name: string;
  command: string;
  /** Given a port that is free and a folder of its own, which goes when it stops. */
  start(port: number, folder: string): { args: string[]; env?: NodeJS.ProcessEnv };
  /** Answers with a status below 400 once it serves. */
  readyPath: string;
}

const READY_WITHIN_MS = 90_000;
const STOP_WITHIN_MS = 3_000;
const PORT_TRIES = 5;
const PORT_TAKEN = /address already in use|BindException|EADDRINUSE|seems to be in use/i;

let reaper: Reaper | undefined;

/** Starts a server and waits until it answers; throws with the end of its log where it does not. */
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
    const problem = await Promise.race([becameReady(url + spec.readyPath), ended]);
    if (problem === undefined) {
      return { url, stop, log: () => readFileSync(logFile, 'utf8'), [Symbol.asyncDispose]: stop };
    }
    const log = readFileSync(logFile, 'utf8');
    await stop();
    // Another process took the port between the choice and its use.
    if (PORT_TAKEN.test(log) && tries < PORT_TRIES) continue;
    const lines = log.trimEnd().split('\n').slice(-15).join('\n  ');
    throw new Error(`${spec.name} ${problem}. Its log ends with:\n  ${lines}`);
  }
}

function launch(command: string, args: string[], env: NodeJS.ProcessEnv, logFile: string): ChildProcess {
  const log = openSync(logFile, 'a');
  // A group of its own, for the reaper, with all that it starts.
  const child = spawn(command, args, { env, stdio: ['ignore', log, log], detached: true, cwd: tmpdir() });
  closeSync(log);
  // A pipe to a shell that waits: no server outlives a test process that was killed.
  reaper ??= startReaper();
  if (child.pid) reaper.add(child.pid);
  // The test process may end without stopping it.
  child.unref();
  return child;
}

/** How it ended, for people. */
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
    // Nobody is left.
  }
  await ended;
  reaper?.remove(child.pid);
}

async function becameReady(url: string): Promise<string | undefined> {
  const until = Date.now() + READY_WITHIN_MS;
  while (Date.now() < until) {
    const response = await fetch(url, { signal: AbortSignal.timeout(5_000) }).catch(() => undefined);
    await response?.body?.cancel();
    if (response && response.status < 400) return undefined;
    await sleep(50);
  }
  return `did not answer at ${url} within ${READY_WITHIN_MS / 1000} s`;
}
