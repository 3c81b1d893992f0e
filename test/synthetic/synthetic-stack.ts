import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, openSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import type { SplitSize } from '../../src/activities/runtime/split-size.ts';
import { connectCatalog } from '../../src/catalog-client/connect.ts';
import { dataDirToken } from '../../src/catalog-client/tokens/open-token-source.ts';
import { readConfig } from '../../src/config.ts';
import { declarationOf, SEARCH_ATTRIBUTES } from '../../src/contract/search-attributes.ts';
import { JobState, type ReconcileJob } from '../../src/generated/reconciler/v1/jobs.ts';
import { waitUntilServing } from '../../src/stack/health.ts';
import { findTemporalCli } from '../../src/stack/temporal-cli.ts';
import { makeCertificate } from '../catalog/auth/certificates.ts';
import { BIN, freePort, ROOT } from '../integration/stack/running-stack.ts';
import { type SyntheticUpstream, writeUpstream } from './synthetic-upstream.ts';

export type StackProcess = 'temporal' | 'catalog' | 'worker';

/** A real stack whose worker reads synthetic upstreams. Its processes log to files in its folder, which is deleted at the end. */
export class SyntheticStack implements AsyncDisposable {
  readonly folder: string;
  /** Temporal's frontend, host:port. */
  readonly temporalAddress: string;
  /** Where Temporal serves `/metrics`, host:port. */
  readonly temporalMetricsAddress: string;
  readonly temporal: Client;
  readonly catalog: ReturnType<typeof connectCatalog>;
  /** Where the catalog serves `/metrics`, host:port. */
  readonly metricsAddress: string;
  readonly #processes: Record<StackProcess, ChildProcess>;
  readonly #addedWorkers: ChildProcess[] = [];
  readonly #startWorker: (temporalAddress: string) => Promise<ChildProcess>;

  private constructor(
    started: Pick<
      SyntheticStack,
      'folder' | 'temporalAddress' | 'temporalMetricsAddress' | 'temporal' | 'catalog' | 'metricsAddress'
    >,
    processes: Record<StackProcess, ChildProcess>,
    startWorker: (temporalAddress: string) => Promise<ChildProcess>,
  ) {
    this.folder = started.folder;
    this.temporalAddress = started.temporalAddress;
    this.temporalMetricsAddress = started.temporalMetricsAddress;
    this.temporal = started.temporal;
    this.catalog = started.catalog;
    this.metricsAddress = started.metricsAddress;
    this.#processes = processes;
    this.#startWorker = startWorker;
  }

  /**
   * Starts a stack.
   *
   * @param parent folder for the stack's own folder; it should be on a disk, because it contains the databases
   * @param settings Temporal's dynamic configuration, `name=value`
   * @param splitSize the worker's split sizes
   * @param security how the catalog is called: by default, as `reconciler up` does
   * @param nodeOptions `NODE_OPTIONS` of the catalog and the worker; inherited if undefined
   */
  static async start({
    parent = tmpdir(),
    settings = [],
    splitSize,
    security = 'tokens',
    nodeOptions,
  }: {
    parent?: string;
    settings?: string[];
    splitSize?: SplitSize;
    security?: 'none' | 'tokens' | 'tokens and TLS';
    nodeOptions?: string;
  } = {}): Promise<SyntheticStack> {
    const folder = mkdtempSync(join(parent, 'reconciler-synthetic-'));
    const [temporalPort, catalogPort] = [await freePort(), await freePort()];
    const [temporalAddress, address] = [`127.0.0.1:${temporalPort}`, `127.0.0.1:${catalogPort}`];
    const metricsAddress = `127.0.0.1:${await freePort()}`;
    const temporalMetricsPort = await freePort();
    const certificate = security === 'tokens and TLS' ? makeCertificate(folder, 'catalog') : undefined;
    const url = certificate ? `https://${address}` : address;
    const env = {
      ...process.env,
      ...{ TEMPORAL_ADDRESS: temporalAddress, RECONCILER_ADDRESS: url, RECONCILER_DATA_DIR: folder },
      ...(certificate && { RECONCILER_CA: certificate.files.cert }),
      SYNTHETIC_SPLIT: JSON.stringify(splitSize ?? null),
      ...(nodeOptions && { NODE_OPTIONS: nodeOptions }),
    };
    const start = (name: StackProcess, command: string, args: string[], more: NodeJS.ProcessEnv = {}) => {
      const log = openSync(join(folder, `${name}.log`), 'a');
      return spawn(command, args, { env: { ...env, ...more }, cwd: ROOT, stdio: ['ignore', log, log, 'ipc'] });
    };
    const startWorker = async (address: string) => {
      const script = join(ROOT, 'test/synthetic/worker.ts');
      // With the same V8 option as `reconciler worker`.
      const args = ['--no-allocation-site-pretenuring', '--import', 'tsx', script];
      const worker = start('worker', process.execPath, args, { TEMPORAL_ADDRESS: address });
      try {
        await once(worker, 'message', { signal: AbortSignal.timeout(120_000) });
      } catch (error) {
        await kill(worker);
        throw error;
      }
      return worker;
    };
    const { cacheDir, temporalCli } = readConfig();
    const processes: Partial<Record<StackProcess, ChildProcess>> = {};
    try {
      processes.temporal = start('temporal', await findTemporalCli({ cacheDir, explicit: temporalCli }), [
        ...['server', 'start-dev', '--headless', '--ip', '127.0.0.1', '--port', String(temporalPort)],
        ...['--db-filename', join(folder, 'temporal.db'), '--log-level', 'warn'],
        ...Object.values(SEARCH_ATTRIBUTES).flatMap((key) => ['--search-attribute', declarationOf(key)]),
        ...['--metrics-port', String(temporalMetricsPort)],
        ...settings.flatMap((setting) => ['--dynamic-config-value', setting]),
      ]);
      const args = [BIN, 'catalog', '--address', address, '--database', join(folder, 'catalog.db')];
      if (security === 'none') args.push('--insecure-no-auth');
      processes.catalog = start('catalog', process.execPath, args, {
        RECONCILER_METRICS_ADDRESS: metricsAddress,
        RECONCILER_TLS_CERT: certificate?.files.cert,
        RECONCILER_TLS_KEY: certificate?.files.key,
      });
      const timeout = AbortSignal.timeout(120_000);
      await waitUntilServing(temporalAddress, 'temporal.api.workflowservice.v1.WorkflowService', timeout);
      const catalog = connectCatalog(url, {
        ...(security !== 'none' && dataDirToken(folder, address)),
        ...(certificate && { tls: { ca: certificate.cert } }),
      });
      if (certificate) await untilAnswering(catalog, timeout);
      else await waitUntilServing(address, '', timeout);
      processes.worker = await startWorker(temporalAddress);
      const temporal = new Client({ connection: await Connection.connect({ address: temporalAddress }) });
      const temporalMetricsAddress = `127.0.0.1:${temporalMetricsPort}`;
      const addresses = { temporalAddress, temporalMetricsAddress, metricsAddress };
      const started = { folder, temporal, catalog, ...addresses };
      return new SyntheticStack(started, processes as Record<StackProcess, ChildProcess>, startWorker);
    } catch (error) {
      for (const process of Object.values(processes)) await kill(process);
      throw error;
    }
  }

  pid(name: StackProcess): number {
    return this.#processes[name].pid as number;
  }

  /** Starts one more worker. @param temporalAddress where it reaches Temporal: this stack's, or a proxy of it */
  async addWorker(temporalAddress: string): Promise<void> {
    this.#addedWorkers.push(await this.#startWorker(temporalAddress));
  }

  /** Kills the worker, and starts another one. */
  async replaceWorker(): Promise<void> {
    await kill(this.#processes.worker);
    this.#processes.worker = await this.#startWorker(this.temporalAddress);
  }

  /** Creates or changes an upstream. @returns its URI */
  upstream(name: string, upstream: SyntheticUpstream): string {
    return writeUpstream(join(this.folder, `${name}.json`), upstream);
  }

  /** Creates a connector with its own destination catalog. @returns its id */
  async connect(name: string, uri: string, more: object = {}): Promise<string> {
    const { connectorId } = await this.catalog.connectors.createConnector({
      connector: {
        displayName: name,
        kind: 'CONNECTOR_KIND_ICEBERG',
        uri,
        destination: { catalogName: name },
        ...more,
      } as never,
    });
    return connectorId;
  }

  job(jobId: string): Promise<ReconcileJob> {
    return this.catalog.connectors.getReconcileJob({ jobId });
  }

  /** Waits for the job's end. @param onAnswer called with each state that is read */
  async ended(jobId: string, onAnswer: (job: ReconcileJob) => void = () => {}): Promise<ReconcileJob> {
    for (;;) {
      const job = await this.job(jobId);
      onAnswer(job);
      if (![JobState.JS_QUEUED, JobState.JS_RUNNING].includes(job.state)) return job;
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.catalog.close();
    await this.temporal.connection.close();
    for (const worker of this.#addedWorkers) await kill(worker);
    for (const name of ['worker', 'catalog', 'temporal'] as const) await kill(this.#processes[name]);
    rmSync(this.folder, { recursive: true, force: true });
  }
}

async function untilAnswering({ health }: SyntheticStack['catalog'], signal: AbortSignal): Promise<void> {
  for (;;) {
    signal.throwIfAborted();
    const answer = await health.check({ service: '' }, { signal }).catch(() => undefined);
    if (answer?.status === 1) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

async function kill(process: ChildProcess): Promise<void> {
  if (process.exitCode !== null || process.signalCode !== null) return;
  const ended = once(process, 'exit');
  process.kill('SIGKILL');
  await ended;
}
