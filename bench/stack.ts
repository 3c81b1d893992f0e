import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { Connection } from '@temporalio/client';
import proto from '@temporalio/proto';
import { INGEST_TASK_QUEUE } from '../src/contract/names.ts';
import type { JobCounters } from '../src/generated/reconciler/v1/jobs.ts';
import { cpuSeconds, peakMemory } from './process-stats.ts';

const { TASK_QUEUE_TYPE_ACTIVITY } = proto.temporal.api.enums.v1.TaskQueueType;

const bin = join(import.meta.dirname, '..', 'bin', 'reconciler.js');

/** A job as printed by `connector trigger --wait --json`, with its counters (64-bit numbers are strings). */
export interface Job extends Record<keyof JobCounters, string> {
  jobId: string;
  state: string;
  message?: string;
  startedAt: string;
  finishedAt: string;
}

export interface Run {
  job: Job;
  /** Duration of the job according to its record. */
  jobSeconds: number;
  /** Duration of the command, including the start of Node. */
  cliSeconds: number;
}

export type StackProcess = 'worker' | 'catalog' | 'temporal';

/** A stack that is started with `reconciler up`, in a data directory of its own that is deleted when it stops. */
export class BenchStack implements AsyncDisposable {
  #process: ChildProcess;
  #dataDir: string;
  #address: string;
  readonly #workers: ChildProcess[] = [];

  private constructor(process: ChildProcess, dataDir: string, address: string) {
    this.#process = process;
    this.#dataDir = dataDir;
    this.#address = address;
  }

  /** @param parent folder for the data directory; it should be on a disk, because it contains the catalog's database */
  static async start(parent: string): Promise<BenchStack> {
    const dataDir = mkdtempSync(join(parent, 'stack-'));
    const [port, uiPort] = [await freePort(), await freePort()];
    const args = [bin, 'up', '--data-dir', dataDir, '--port', String(port), '--ui-port', String(uiPort)];
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'ignore'] });
    const output: string[] = [];
    for await (const line of createInterface({ input: child.stdout! })) {
      if (line.startsWith('ready')) {
        child.stdout!.resume();
        return new BenchStack(child, dataDir, `127.0.0.1:${port}`);
      }
      output.push(line);
    }
    throw new Error(`reconciler up ended before it was ready: ${output.join('\n')}`);
  }

  /** Starts one more worker process and waits until it polls for ingests. */
  async addWorker(): Promise<void> {
    const env = { ...this.#env(), TEMPORAL_ADDRESS: this.temporal };
    this.#workers.push(spawn(process.execPath, [bin, 'worker'], { env, stdio: 'ignore' }));
    const connection = await Connection.connect({ address: this.temporal });
    try {
      for (let workers = 0; workers <= this.#workers.length; ) {
        const { pollers } = await connection.workflowService.describeTaskQueue({
          namespace: 'default',
          taskQueue: { name: INGEST_TASK_QUEUE },
          taskQueueType: TASK_QUEUE_TYPE_ACTIVITY,
        });
        workers = new Set(pollers?.map(({ identity }) => identity)).size;
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
    } finally {
      await connection.close();
    }
  }

  get database(): string {
    return join(this.#dataDir, 'catalog.db');
  }

  /** Temporal's frontend, host:port. */
  get temporal(): string {
    return this.#file().temporalAddress;
  }

  /** @param upstream options of `connector create` that describe the upstream */
  async createConnector(name: string, ...upstream: string[]): Promise<void> {
    await this.#cli('connector', 'create', name, ...upstream, '--destination-catalog', name);
  }

  /** Reconciles and waits for the end. Throws if the job does not succeed. */
  async reconcile(connector: string): Promise<Run> {
    const start = performance.now();
    // A failed job is printed too, with exit code 1.
    const printed = (error: { stdout?: string }) => error.stdout ?? '';
    const lines = await this.#cli('connector', 'trigger', connector, '--wait', '--json').catch(printed);
    const cliSeconds = (performance.now() - start) / 1000;
    const last = lines.trim().split('\n').at(-1);
    if (!last) throw new Error(`${connector}: the command printed no job`);
    const job = JSON.parse(last) as Job;
    if (job.state !== 'JS_SUCCEEDED') throw new Error(`${connector}: ${job.state} ${job.message}`);
    return { job, cliSeconds, jobSeconds: (Date.parse(job.finishedAt) - Date.parse(job.startedAt)) / 1000 };
  }

  /** Peak memory of a process since its start, in MiB (Linux only). */
  peakMemory(name: StackProcess): number {
    return peakMemory(this.#file().processes[name]);
  }

  /** Processor time of a process since its start, in seconds (Linux only). */
  cpuSeconds(name: StackProcess): number {
    return cpuSeconds(this.#file().processes[name]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const worker of this.#workers) {
      worker.kill('SIGKILL');
      await once(worker, 'exit');
    }
    if (this.#process.exitCode === null) {
      this.#process.kill('SIGTERM');
      await once(this.#process, 'exit');
    }
    rmSync(this.#dataDir, { recursive: true, force: true });
  }

  #env(): NodeJS.ProcessEnv {
    return { ...process.env, RECONCILER_ADDRESS: this.#address, RECONCILER_DATA_DIR: this.#dataDir };
  }

  async #cli(...args: string[]): Promise<string> {
    const options = { env: this.#env(), maxBuffer: 1 << 26 };
    const { stdout } = await promisify(execFile)(process.execPath, [bin, ...args], options);
    return stdout;
  }

  #file(): { temporalAddress: string; processes: Record<string, number | undefined> } {
    return JSON.parse(readFileSync(join(this.#dataDir, 'stack.json'), 'utf8'));
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  return (address as { port: number }).port;
}
