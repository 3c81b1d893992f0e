import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync, renameSync, statSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { CodedError } from '../errors.ts';
import type { Reaper } from './reaper.ts';

export interface ProcessSpec {
  /** For people and for the name of its log. */
  name: string;
  command: string;
  args: string[];
  env: NodeJS.ProcessEnv;
  logFile: string;
  /** Resolves when it serves; gives up when the signal is aborted. */
  whenReady(child: ChildProcess, signal: AbortSignal): Promise<void>;
  /** Milliseconds between SIGTERM and SIGKILL. */
  graceMs: number;
}

/** A process that is kept running until it is stopped. */
export interface Supervised {
  readonly name: string;
  /** Of the process that runs now. */
  readonly pid: number | undefined;
  /** From now on it is not started again. */
  retire(): void;
  stop(): Promise<void>;
}

export interface SuperviseOptions {
  reaper: Reaper;
  /** Told when it died and is started again. */
  log(line: string): void;
  /** Called whenever a pid changed. */
  onChange(): void;
  /** Gives up while it is not ready yet. */
  signal?: AbortSignal;
}

const READY_TIMEOUT_MS = 60_000;
const MIN_PAUSE_MS = 500;
const MAX_PAUSE_MS = 10_000;
/** A process that lived this long did not die of its start: the next pause is short again. */
const STEADY_AFTER_MS = 30_000;
const MAX_LOG_BYTES = 16 * 1024 * 1024;

/**
 * Starts a process, waits until it serves and from then on starts it again whenever it ends. The log goes on over restarts.
 *
 * @throws CodedError UNAVAILABLE with the end of its log where it does not get ready the first time.
 */
export async function supervise(spec: ProcessSpec, surroundings: SuperviseOptions): Promise<Supervised> {
  const stopping = new AbortController();
  let running = launch(spec, surroundings);
  await untilReady(spec, running, surroundings.signal);
  surroundings.onChange();
  const done = keep();

  async function keep(): Promise<void> {
    let pause = MIN_PAUSE_MS;
    for (;;) {
      const how = await running.ended;
      surroundings.onChange();
      if (stopping.signal.aborted) return;
      if (Date.now() - running.startedAt > STEADY_AFTER_MS) pause = MIN_PAUSE_MS;
      surroundings.log(`${spec.name} ended (${how}); starting it again in ${pause / 1000} s. Its log: ${spec.logFile}`);
      await sleep(pause, undefined, { signal: stopping.signal }).catch(() => {});
      if (stopping.signal.aborted) return;
      pause = Math.min(pause * 2, MAX_PAUSE_MS);
      running = launch(spec, surroundings);
      surroundings.onChange();
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
    },
  };
}

interface Running {
  child: ChildProcess;
  startedAt: number;
  /** How it ended, for people. */
  ended: Promise<string>;
  stop(graceMs: number): Promise<void>;
}

function launch(spec: ProcessSpec, { reaper }: SuperviseOptions): Running {
  rotateLog(spec.logFile);
  const log = openSync(spec.logFile, 'a');
  // A group of its own: Ctrl-C reaches only `up`, which stops its processes in order.
  const child = spawn(spec.command, spec.args, { env: spec.env, stdio: ['ignore', log, log, 'ipc'], detached: true });
  closeSync(log);
  const group = child.pid;
  if (group) reaper.add(group);
  const ended = new Promise<string>((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('exit', (code, signal) => resolve(signal ?? `exit ${code}`));
  }).then((how) => {
    // What it started itself goes with it.
    if (group) signalGroup(group, 'SIGKILL');
    if (group) reaper.remove(group);
    return how;
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
        () => `did not get ready within ${READY_TIMEOUT_MS / 1000} s`,
      ),
      running.ended.then((how) => `ended at once (${how})`),
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

/** One older log is kept beside. */
function rotateLog(file: string): void {
  const size = statSync(file, { throwIfNoEntry: false })?.size ?? 0;
  if (size > MAX_LOG_BYTES) renameSync(file, `${file}.1`);
}

function signalGroup(group: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-group, signal);
  } catch {
    // Nobody is left.
  }
}
