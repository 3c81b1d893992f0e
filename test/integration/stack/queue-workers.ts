import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { SplitSize } from '../../../src/activities/runtime/split-size.ts';
import { ROOT, type RunningStack } from './running-stack.ts';

/** Additional workers of a stack. Only they read the upstreams of connectors whose policy names their queue. */
export class QueueWorkers implements AsyncDisposable {
  readonly queue: string;
  readonly #workers: ChildProcess[];

  private constructor(queue: string, workers: ChildProcess[]) {
    this.queue = queue;
    this.#workers = workers;
  }

  static async start(
    stack: RunningStack,
    {
      queue,
      workers,
      splitSize,
      env: more,
    }: { queue: string; workers: number; splitSize?: SplitSize; env?: NodeJS.ProcessEnv },
  ): Promise<QueueWorkers> {
    const { temporalAddress } = JSON.parse(readFileSync(join(stack.dataDir, 'stack.json'), 'utf8'));
    const env = { ...stack.env, ...more, TEMPORAL_ADDRESS: temporalAddress };
    const args = [
      '--import',
      'tsx',
      join(ROOT, 'test/integration/stack/queue-worker.ts'),
      queue,
      JSON.stringify(splitSize ?? null),
    ];
    const started = Array.from({ length: workers }, () =>
      spawn(process.execPath, args, { env, cwd: ROOT, stdio: ['ignore', 'ignore', 'inherit', 'ipc'] }),
    );
    await Promise.all(started.map((worker) => once(worker, 'message')));
    return new QueueWorkers(queue, started);
  }

  get pids(): number[] {
    return this.#workers.map(({ pid }) => pid!);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const worker of this.#workers) {
      if (worker.exitCode !== null || worker.signalCode !== null) continue;
      const exited = once(worker, 'exit');
      worker.kill('SIGKILL');
      await exited;
    }
  }
}
