import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { CodedError } from '../errors.ts';
import { openProcessLog, type ProcessLog } from './process-log.ts';
import type { Reaper } from './reaper.ts';

export interface ProcessSpec {
  /** Used in messages. */
  name: string;
  command: string;
  args: string[];
  env: NodeJS.ProcessEnv;
  logFile: string;
  /** Resolves when the process serves; rejects when the signal is aborted. */
  whenReady(child: ChildProcess, signal: AbortSignal): Promise<void>;
  /** Milliseconds between SIGTERM and SIGKILL. */
  graceMs: number;
}

/** A process that is restarted until it is stopped. */
export interface Supervised {
  readonly name: string;
  /** Process id; undefined between an end and the next start. */
  readonly pid: number | undefined;
  /** The process is not restarted from now on. */
  retire(): void;
  stop(): Promise<void>;
}

export interface SuperviseOptions {
  reaper: Reaper;
  /** Receives a line for people when the process has ended and is restarted. */
  log(line: string): void;
  /** Called whenever the pid has changed. */
  onChange(): void;
  /** Aborts the wait for the first readiness. */
  signal?: AbortSignal;
}

const READY_TIMEOUT_MS = 60_000;
const MIN_PAUSE_MS = 500;
const MAX_PAUSE_MS = 10_000;
/** A process that ran for this long did not fail at its start, so the next pause is short again. */
const STEADY_AFTER_MS = 30_000;

/**
 * Starts a process, waits until it serves, and restarts it whenever it ends. Restarts append to the same log.
 *
 * @throws CodedError UNAVAILABLE with the end of the log if the process does not become ready the first time
 */
export async function supervise(spec: ProcessSpec, options: SuperviseOptions): Promise<Supervised> {
  const stopping = new AbortController();
  const log = openProcessLog(spec.logFile, options.log);
  let running = launch(spec, log, options);
  await untilReady(spec, running, options.signal);
  options.onChange();
  const done = keepRunning();

  async function keepRunning(): Promise<void> {
    let pause = MIN_PAUSE_MS;
    for (;;) {
      const outcome = await running.ended;
      options.onChange();
      if (stopping.signal.aborted) return;
      if (Date.now() - running.startedAt > STEADY_AFTER_MS) pause = MIN_PAUSE_MS;
      options.log(`${spec.name} ended (${outcome}); starting it again in ${pause / 1000} s. Its log: ${spec.logFile}`);
      await sleep(pause, undefined, { signal: stopping.signal }).catch(() => {});
      if (stopping.signal.aborted) return;
      pause = Math.min(pause * 2, MAX_PAUSE_MS);
      running = launch(spec, log, options);
      options.onChange();
    }
  }

  return {
    name: spec.name,
    get pid() {
      return running.child.exitCode === null && running.child.signalCode === null ? running.child.pid : undefined;
    },
    retire: () => stopping.abort(),
    async stop() {
      stopping.abort();
      await running.stop(spec.graceMs);
      await done;
      await log.close();
    },
  };
}

interface Running {
  child: ChildProcess;
  startedAt: number;
  /** Resolves with how the process ended, such as `exit 1` or `SIGKILL`. */
  ended: Promise<string>;
  stop(graceMs: number): Promise<void>;
}

function launch(spec: ProcessSpec, log: ProcessLog, { reaper }: SuperviseOptions): Running {
  // In a process group of its own, so that Ctrl-C reaches only `up`, which stops its processes in order.
  const stdio = ['ignore', 'pipe', 'pipe', 'ipc'] as const;
  const child = spawn(spec.command, spec.args, { env: spec.env, stdio: [...stdio], detached: true });
  for (const stream of [child.stdout, child.stderr]) if (stream) log.add(stream);
  const group = child.pid;
  if (group) reaper.add(group);
  const ended = new Promise<string>((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('exit', (code, signal) => {
      // The processes that it started are killed with it. They could also keep its pipes open.
      if (group) signalGroup(group, 'SIGKILL');
      child.once('close', () => resolve(signal ?? `exit ${code}`));
    });
  }).then(async (outcome) => {
    if (group) reaper.remove(group);
    await log.flush();
    return outcome;
  });
  return {
    child,
    startedAt: Date.now(),
    ended,
    async stop(graceMs) {
      child.kill('SIGTERM');
      const timer = setTimeout(() => child.kill('SIGKILL'), graceMs);
      await ended;
      clearTimeout(timer);
    },
  };
}

async function untilReady(spec: ProcessSpec, running: Running, stop?: AbortSignal): Promise<void> {
  const giveUp = new AbortController();
  const timer = setTimeout(() => giveUp.abort(), READY_TIMEOUT_MS);
  const onStop = () => giveUp.abort();
  stop?.addEventListener('abort', onStop);
  try {
    const problem = await Promise.race([
      spec.whenReady(running.child, giveUp.signal).then(
        () => undefined,
        () => `was not ready within ${READY_TIMEOUT_MS / 1000} s`,
      ),
      running.ended.then((outcome) => `ended at once (${outcome})`),
    ]);
    if (problem === undefined && !stop?.aborted) return;
    await running.stop(1_000);
    stop?.throwIfAborted();
    throw new CodedError(
      'UNAVAILABLE',
      `${spec.name} ${problem}. Its log, ${spec.logFile}, ends with:\n${endOf(spec.logFile)}`,
    );
  } finally {
    clearTimeout(timer);
    stop?.removeEventListener('abort', onStop);
    giveUp.abort();
  }
}

function endOf(file: string): string {
  const lines = readFileSync(file, 'utf8').trimEnd().split('\n').slice(-5);
  return lines.map((line) => `  ${line.slice(0, 500)}`).join('\n');
}

function signalGroup(group: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-group, signal);
  } catch {
    // No process of the group is left.
  }
}
