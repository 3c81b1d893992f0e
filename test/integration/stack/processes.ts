import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import { connectCatalog } from '../../../src/catalog-client/connect.ts';
import { dataDirToken } from '../../../src/catalog-client/tokens/open-token-source.ts';
import { readConfig } from '../../../src/config.ts';
import { JobState, type ReconcileJob } from '../../../src/generated/reconciler/v1/jobs.ts';
import { findTemporalCli } from '../../../src/stack/temporal-cli.ts';
import { BIN, freePort } from './running-stack.ts';

export interface Ran {
  code: number;
  stdout: string;
  stderr: string;
}

/**
 * Temporal's dev server, the catalog service and workers as separate processes that are not restarted automatically. Tests stop them and
 * start them with other settings.
 */
export class Processes implements AsyncDisposable {
  readonly folder = mkdtempSync(join(tmpdir(), 'reconciler-processes-'));
  readonly temporalAddress: string;
  readonly address: string;
  readonly catalog: ReturnType<typeof connectCatalog>;
  /** A client without a codec. */
  temporal!: Client;
  temporalProcess!: ChildProcess;
  readonly #temporalCli: string;
  readonly #children = new Set<ChildProcess>();

  private constructor(temporalCli: string, temporalPort: number, catalogPort: number) {
    this.#temporalCli = temporalCli;
    this.temporalAddress = `127.0.0.1:${temporalPort}`;
    this.address = `127.0.0.1:${catalogPort}`;
    this.catalog = connectCatalog(this.address, dataDirToken(this.folder, this.address));
  }

  /** Starts only Temporal. */
  static async start(...temporalArgs: string[]): Promise<Processes> {
    const { cacheDir, temporalCli } = readConfig();
    const cli = await findTemporalCli({ cacheDir, explicit: temporalCli });
    const port = await freePort();
    const self = new Processes(cli, port, await freePort());
    self.startTemporal(...temporalArgs);
    const connection = await retried(() => Connection.connect({ address: self.temporalAddress, connectTimeout: '1s' }));
    self.temporal = new Client({ connection });
    return self;
  }

  /** Starts Temporal again after it was stopped, with its database. */
  startTemporal(...temporalArgs: string[]): ChildProcess {
    const port = this.temporalAddress.split(':')[1] ?? '';
    const local = ['--ip', '127.0.0.1', '--port', port, '--headless', '--db-filename', this.databaseFile];
    this.temporalProcess = this.#spawn('temporal', this.#temporalCli, [
      'server',
      'start-dev',
      ...local,
      ...temporalArgs,
    ]);
    return this.temporalProcess;
  }

  /** Temporal's database. */
  get databaseFile(): string {
    return join(this.folder, 'temporal.db');
  }

  async startCatalog(env: NodeJS.ProcessEnv = {}): Promise<ChildProcess> {
    const args = [BIN, 'catalog', '--database', join(this.folder, 'catalog.db')];
    const child = this.#spawn('catalog', process.execPath, args, env);
    await retried(() => this.catalog.connectors.listConnectors({}));
    return child;
  }

  /** Starts a worker. Resolves when it polls. */
  startWorker(env: NodeJS.ProcessEnv = {}, ...args: string[]): Promise<ChildProcess> {
    return this.startWorkerOf(BIN, env, ...args);
  }

  /** Starts a worker of another build. @param bin the build's `bin/reconciler.js` */
  async startWorkerOf(bin: string, env: NodeJS.ProcessEnv = {}, ...args: string[]): Promise<ChildProcess> {
    const child = this.#spawn('worker', process.execPath, [bin, 'worker', ...args], env);
    await Promise.race([
      once(child, 'message'),
      once(child, 'exit').then(([code]) => Promise.reject(new Error(`worker ended with ${code}`))),
    ]);
    return child;
  }

  /** Starts the codec endpoint. Resolves when it listens. */
  async startCodec(env: NodeJS.ProcessEnv, ...args: string[]): Promise<ChildProcess> {
    const child = this.#spawn('codec', process.execPath, [BIN, 'codec', ...args], env);
    await once(child.stdout!, 'data');
    return child;
  }

  async stop(child: ChildProcess, signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    this.#children.delete(child);
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill(signal);
    await once(child, 'exit');
  }

  /** Runs `reconciler` with these arguments. */
  cli(args: string[], env: NodeJS.ProcessEnv = {}): Promise<Ran> {
    return run(process.execPath, [BIN, ...args], this.#env(env));
  }

  /** Starts `reconciler` with these arguments, for a test that reads what it prints while it runs. */
  startCli(args: string[]): { stderr(): string; ended: Promise<Ran> } {
    const child = this.#spawn('cli', process.execPath, [BIN, ...args]);
    let [stdout, stderr] = ['', ''];
    child.stdout!.on('data', (data) => (stdout += data));
    child.stderr!.on('data', (data) => (stderr += data));
    const ended = once(child, 'close').then(([code]) => ({ code: code ?? -1, stdout, stderr }));
    return { stderr: () => stderr, ended };
  }

  /** Runs `temporal` with these arguments. */
  temporalCli(...args: string[]): Promise<Ran> {
    return run(this.#temporalCli, [...args, '--address', this.temporalAddress], this.#env({}));
  }

  /** Creates a connector for a directory. @returns its id */
  async connect(name: string, folder: string, more: object = {}): Promise<string> {
    const { connectorId } = await this.catalog.connectors.createConnector({
      connector: { displayName: name, kind: 'CONNECTOR_KIND_ICEBERG', uri: `file://${folder}`, ...more } as never,
    });
    return connectorId;
  }

  async trigger(connectorId: string, options: object = {}): Promise<string> {
    return (await retried(() => this.catalog.connectors.triggerReconcile({ connectorId, ...options }))).jobId;
  }

  /** Triggers a job that waits, because a workflow without a worker holds the connector until `releaseConnector` is called. */
  async triggerHeld(connectorId: string): Promise<{ jobId: string; releaseConnector(): Promise<unknown> }> {
    const holder = `holder-${Math.random()}`;
    const options = { taskQueue: 'nobody', workflowId: holder, args: [{}] };
    const { firstExecutionRunId: runId } = await this.temporal.workflow.start('reconcile', options);
    // Dry, so that its end causes no alert.
    await this.catalog.reconciliation.claimConnector({ connectorId, job: { jobId: holder, dryRun: true }, runId });
    const jobId = await this.trigger(connectorId);
    await this.until(jobId, ({ phase }) => /waiting/.test(phase));
    return { jobId, releaseConnector: () => this.temporal.workflow.getHandle(holder).terminate() };
  }

  /** Waits until the job meets the condition; servers may restart in the meantime. */
  async until(jobId: string, condition: (job: ReconcileJob) => boolean): Promise<ReconcileJob> {
    for (;;) {
      const job = await this.catalog.connectors.getReconcileJob({ jobId }).catch(() => undefined);
      if (job && condition(job)) return job;
      if (job && hasEnded(job)) throw new Error(`job ${jobId} has ended: ${job.message}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  ended(jobId: string): Promise<ReconcileJob> {
    return this.until(jobId, hasEnded);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.catalog.close();
    await this.temporal?.connection.close();
    for (const child of [...this.#children].reverse()) await this.stop(child);
    rmSync(this.folder, { recursive: true, force: true });
  }

  #env(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
    const addresses = { TEMPORAL_ADDRESS: this.temporalAddress, RECONCILER_ADDRESS: this.address };
    return { ...process.env, ...addresses, RECONCILER_DATA_DIR: this.folder, ...env };
  }

  #spawn(name: string, command: string, args: string[], env: NodeJS.ProcessEnv = {}): ChildProcess {
    const child = spawn(command, args, { env: this.#env(env), stdio: ['ignore', 'pipe', 'pipe', 'ipc'] });
    const log = createWriteStream(join(this.folder, `${name}.log`), { flags: 'a' });
    child.stdout!.pipe(log, { end: false });
    child.stderr!.pipe(log, { end: false });
    this.#children.add(child);
    return child;
  }
}

const hasEnded = ({ state }: ReconcileJob) => ![JobState.JS_QUEUED, JobState.JS_RUNNING].includes(state);

async function run(command: string, args: string[], env: NodeJS.ProcessEnv): Promise<Ran> {
  const child = spawn(command, args, { env, cwd: tmpdir() });
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (data) => {
    stdout += data;
  });
  child.stderr.on('data', (data) => {
    stderr += data;
  });
  const [code] = await once(child, 'close');
  return { code: code ?? -1, stdout, stderr };
}

/** Repeats a call until it succeeds, up to 300 times, because the server may still be starting. */
export async function retried<T>(call: () => Promise<T>): Promise<T> {
  for (let left = 300; ; left--) {
    try {
      return await call();
    } catch (error) {
      if (left === 0) throw error;
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  }
}
