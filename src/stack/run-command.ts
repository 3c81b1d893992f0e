import { spawn } from 'node:child_process';

export interface CommandResult {
  /** 0 where all went well; undefined where it was killed or did not start. */
  code?: number;
  stdout: string;
  stderr: string;
  /** Why it did not start, or that it took too long. */
  problem?: string;
}

/** A tool's output is kept up to this length, from its end. */
const MAX_OUTPUT = 64 * 1024;

/** Runs a tool to its end, for at most `timeoutMs` or until `signal`; then it and what it started are killed. Never throws. */
export function runCommand(
  command: string,
  args: string[],
  options: { timeoutMs: number; env?: NodeJS.ProcessEnv; signal?: AbortSignal },
): Promise<CommandResult> {
  return new Promise((resolve) => {
    const result: CommandResult = { stdout: '', stderr: '' };
    // A process group of its own, so that a compiler or downloader that it started goes with it.
    const child = spawn(command, args, { env: options.env, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
    const giveUp = (problem: string) => {
      result.problem = problem;
      if (child.pid) killGroup(child.pid);
    };
    const timer = setTimeout(() => giveUp(`no end after ${options.timeoutMs / 1000} s`), options.timeoutMs);
    const onAbort = () => giveUp('stopped');
    options.signal?.addEventListener('abort', onAbort);
    const cleanUp = () => {
      clearTimeout(timer);
      options.signal?.removeEventListener('abort', onAbort);
    };
    if (options.signal?.aborted) onAbort();
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      result.stdout = (result.stdout + text).slice(-MAX_OUTPUT);
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      result.stderr = (result.stderr + text).slice(-MAX_OUTPUT);
    });
    child.on('error', (error) => {
      cleanUp();
      resolve({ ...result, problem: error.message });
    });
    child.on('close', (code) => {
      cleanUp();
      resolve({ ...result, code: code ?? undefined });
    });
  });
}

/** What a tool said when it failed, in one line. */
export function failureOf(result: CommandResult): string {
  if (result.problem) return result.problem;
  const lines = (result.stderr.trim() || result.stdout.trim()).split('\n');
  const telling = lines.filter((line) => /error|fail|cannot|not found|denied/i.test(line)).at(-1) ?? lines.at(-1);
  return `exit ${result.code ?? 'by signal'}${telling ? `: ${telling.trim().slice(0, 300)}` : ''}`;
}

function killGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // It ended at this moment.
  }
}
