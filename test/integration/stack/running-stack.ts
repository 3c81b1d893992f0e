import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Client, Connection } from '@temporalio/client';
import { connectCatalog } from '../../../src/catalog-client/connect.ts';
import { dataDirToken } from '../../../src/catalog-client/tokens/open-token-source.ts';
import { JobState, type ReconcileJob } from '../../../src/generated/reconciler/v1/jobs.ts';
import { freePort as freePortOf } from '../../../src/stack/ports.ts';

export const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
export const BIN = join(ROOT, 'bin', 'reconciler.js');

/** A real `reconciler up` with its own data directory and ports. */
export class RunningStack implements AsyncDisposable {
  readonly #process: ChildProcess;
  readonly dataDir: string;
  readonly address: string;
  /** URL of Temporal's UI. */
  readonly uiUrl: string;
  readonly env: NodeJS.ProcessEnv;
  readonly catalog: ReturnType<typeof connectCatalog>;
  readonly temporal: Client;

  private constructor(process: ChildProcess, dataDir: string, address: string, uiUrl: string, temporal: Client) {
    this.#process = process;
    this.dataDir = dataDir;
    this.address = address;
    this.uiUrl = uiUrl;
    this.env = { ...globalThis.process.env, RECONCILER_ADDRESS: address, RECONCILER_DATA_DIR: dataDir };
    this.catalog = connectCatalog(address, dataDirToken(dataDir, address));
    this.temporal = temporal;
  }

  /**
   * @param env variables added to the environment of the stack's processes
   * @param node the Node executable that runs the stack
   * @param prepare called with the data directory while it is still empty
   */
  static async start(
    env: NodeJS.ProcessEnv = {},
    node = process.execPath,
    prepare: (dataDir: string) => void = () => {},
  ): Promise<RunningStack> {
    const dataDir = mkdtempSync(join(tmpdir(), 'reconciler-test-'));
    prepare(dataDir);
    const [port, uiPort] = [await freePort(), await freePort()];
    const child = spawn(node, [BIN, 'up', '--data-dir', dataDir, '--port', String(port), '--ui-port', String(uiPort)], {
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
      env: { ...globalThis.process.env, ...env },
    });
    let output = '';
    await new Promise<void>((resolve, reject) => {
      const onData = (data: Buffer) => {
        output += data;
        if (/^ready/m.test(output)) resolve();
      };
      child.stdout!.on('data', onData);
      child.stderr!.on('data', onData);
      child.on('exit', (code) => reject(new Error(`up ended with ${code}: ${output}`)));
    });
    const { temporalAddress, uiUrl } = JSON.parse(readFileSync(join(dataDir, 'stack.json'), 'utf8'));
    const connection = await Connection.connect({ address: temporalAddress });
    return new RunningStack(child, dataDir, `127.0.0.1:${port}`, uiUrl, new Client({ connection }));
  }

  /** Pids of the stack's processes by name: temporal, catalog, worker. */
  pids(): Record<string, number> {
    return JSON.parse(readFileSync(join(this.dataDir, 'stack.json'), 'utf8')).processes;
  }

  /** The addresses (host:port) at which the catalog and the worker serve metrics and health probes. */
  observed(): Record<'catalog' | 'worker', { metrics: string; health: string }> {
    return JSON.parse(readFileSync(join(this.dataDir, 'stack.json'), 'utf8')).observed;
  }

  /** The lines that a process has logged so far. */
  logLines(process: 'catalog' | 'worker'): Record<string, unknown>[] {
    const lines = readFileSync(join(this.dataDir, 'logs', `${process}.log`), 'utf8')
      .trimEnd()
      .split('\n');
    return lines.map((line) => JSON.parse(line));
  }

  /** Runs the CLI and returns its exit code and output. */
  async cli(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
    const child = spawn(process.execPath, [BIN, ...args], { env: this.env, cwd: tmpdir() });
    let [stdout, stderr] = ['', ''];
    child.stdout.on('data', (data) => {
      stdout += data;
    });
    child.stderr.on('data', (data) => {
      stderr += data;
    });
    const code = await new Promise<number>((resolve) => child.on('close', (c) => resolve(c ?? -1)));
    return { code, stdout, stderr };
  }

  /** Creates a connector for a directory. @returns its id */
  async connect(name: string, folder: string, more: object = {}): Promise<string> {
    const { connectorId } = await this.catalog.connectors.createConnector({
      connector: {
        displayName: name,
        kind: 'CONNECTOR_KIND_ICEBERG',
        uri: `file://${folder}`,
        destination: { catalogName: name },
        ...more,
      } as never,
    });
    return connectorId;
  }

  async trigger(connectorId: string, options: object = {}): Promise<ReconcileJob> {
    const { jobId } = await this.catalog.connectors.triggerReconcile({ connectorId, ...options });
    return this.ended(jobId);
  }

  /** Waits for the job's end; servers may restart in the meantime. */
  async ended(jobId: string): Promise<ReconcileJob> {
    for (;;) {
      const job = await this.catalog.connectors.getReconcileJob({ jobId }).catch(() => undefined);
      if (job && ![JobState.JS_QUEUED, JobState.JS_RUNNING].includes(job.state)) return job;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  async failures(jobId: string) {
    return (await this.catalog.jobs.listJobFailures({ jobId, pageSize: 1000 })).failures;
  }

  async tableId(text: string): Promise<string> {
    return (await this.catalog.directory.resolve({ name: { $case: 'text', value: text }, object: true })).tableId;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.catalog.close();
    await this.temporal.connection.close();
    if (this.#process.exitCode === null) {
      const exited = new Promise((resolve) => this.#process.once('exit', resolve));
      this.#process.kill('SIGTERM');
      await exited;
    }
    rmSync(this.dataDir, { recursive: true, force: true });
  }
}

export const freePort = () => freePortOf('127.0.0.1');
