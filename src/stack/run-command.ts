import { spawn } from 'node:child_process';

export interface CommandResult {
  /** The exit code; undefined if the tool was killed or did not start. */
  code?: number;
  stdout: string;
  stderr: string;
  /** Why the tool did not start or was killed. */
  problem?: string;
}

/** Characters of stdout and of stderr that are kept, counted from the end. */
const MAX_OUTPUT = 64 * 1024;

/**
 * Runs a tool to its end. After `timeoutMs`, or when `signal` is aborted, kills it and the processes that it started. Never rejects.
 */
export function runCommand(
  command: string,
  args: string[],
  options: { timeoutMs: number; env?: NodeJS.ProcessEnv; signal?: AbortSignal },
): Promise<CommandResult> {
  return new Promise((resolve) => {
    const result: CommandResult = { stdout: '', stderr: '' };
    // In a process group of its own, so that a compiler or downloader that it started is killed with it.
    const child = spawn(command, args, { env: options.env, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
    const giveUp = (problem: string) => {
      result.problem = problem;
      if (child.pid) killGroup(child.pid);
    };
    const timer = setTimeout(() => giveUp(`not finished after ${options.timeoutMs / 1000} s`), options.timeoutMs);
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

/** Why a tool failed, in one line: the exit code and the last line of its output that mentions an error. */
export function failureOf(result: CommandResult): string {
  if (result.problem) return result.problem;
  const lines = (result.stderr.trim() || result.stdout.trim()).split('\n');
  const line = lines.filter((text) => /error|fail|cannot|not found|denied/i.test(text)).at(-1) ?? lines.at(-1);
  return `exit ${result.code ?? 'by signal'}${line ? `: ${line.trim().slice(0, 300)}` : ''}`;
}

function killGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // The group has just ended.
  }
}
