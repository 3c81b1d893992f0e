import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from '@jest/globals';
import { ClientError } from 'nice-grpc';
import { pino } from 'pino';
import { anyone } from '../../src/catalog/auth/authorize-middleware.ts';
import { startCatalog } from '../../src/catalog/server/server.ts';
import { type CatalogClients, connectCatalog } from '../../src/catalog-client/connect.ts';
import type {
  AlertRequest,
  Progress,
  ReconcileRequest,
  TableFailure,
  ValidateRequest,
} from '../../src/contract/job.ts';
import type { JobControl, WorkflowStatus } from '../../src/contract/job-control.ts';
import { CodedError } from '../../src/errors.ts';
import type { EndJobResponse } from '../../src/generated/reconciler/internal/v1/reconciliation.ts';
import { ConnectorKind, MissingAction } from '../../src/generated/reconciler/v1/connectors.ts';
import { JobState, type ReconcileJob } from '../../src/generated/reconciler/v1/jobs.ts';
import { FakeSchedules } from './schedules/fake-schedules.ts';

/** A fake of Temporal: tests set the statuses of workflows. */
export class FakeJobs implements JobControl {
  liveFailures: TableFailure[] = [];
  readonly started: {
    jobId: string;
    request: ReconcileRequest;
    connector: { id: string; name: string };
    retryOf?: string;
  }[] = [];
  readonly statuses = new Map<string, WorkflowStatus>();
  readonly progressOf = new Map<string, Progress>();
  readonly alerts: AlertRequest[] = [];
  readonly cancelled: string[] = [];
  /** Jobs whose status was read. */
  readonly described: string[] = [];
  /** Jobs whose progress was queried. */
  readonly queried: string[] = [];
  /** Jobs that were woken. */
  readonly woken: string[] = [];
  readonly schedules = new FakeSchedules(() => this.#reach());
  down = false;
  /** Whether the response to a start gets lost, and whether before or after the workflow started. */
  lost: 'nothing' | 'before' | 'after' = 'nothing';

  async start(jobId: string, request: ReconcileRequest, connector: { id: string; name: string }, retryOf?: string) {
    this.#reach();
    const lost = new CodedError('DEADLINE_EXCEEDED', `Temporal did not answer about ${jobId}`);
    if (this.lost === 'before') throw lost;
    if (!this.statuses.has(jobId)) this.started.push({ jobId, request, connector, retryOf });
    this.statuses.set(jobId, 'RUNNING');
    if (this.lost === 'after') throw lost;
    return { runId: `run-of-${jobId}` };
  }

  async describe(jobId: string) {
    this.#reach();
    this.described.push(jobId);
    return this.statuses.get(jobId);
  }

  /** Why jobs without live progress wait. */
  untakenText: string | undefined;

  async untaken() {
    this.#reach();
    return this.untakenText;
  }

  async progress(jobId: string) {
    this.queried.push(jobId);
    return this.progressOf.get(jobId);
  }

  async failures() {
    return this.liveFailures;
  }

  async wake(jobId: string) {
    this.#reach();
    this.woken.push(jobId);
  }

  async cancel(jobId: string) {
    this.#reach();
    this.cancelled.push(jobId);
    if (this.statuses.has(jobId)) this.statuses.set(jobId, 'CANCELED');
  }

  /** Called as a worker would be that validates. */
  onValidate?: (request: ValidateRequest) => Promise<void>;

  async validate(request: ValidateRequest) {
    this.#reach();
    await this.onValidate?.(request);
    return { ok: true, summary: `saw ${JSON.stringify(request)}`, sampleTables: ['fx.orders'] };
  }

  /** Temporal accepts calls, but does not answer. */
  hangs = false;

  async queueWarning(taskQueue: string): Promise<string | undefined> {
    this.#reach();
    if (this.hangs) await new Promise(() => {});
    return taskQueue === 'served' ? undefined : `nobody polls ${taskQueue} (ü)`;
  }

  async alert(request: AlertRequest) {
    this.#reach();
    this.alerts.push(request);
  }

  async close() {}

  #reach() {
    if (this.down) throw new CodedError('UNAVAILABLE', 'Temporal at 127.0.0.1:7233 cannot be reached');
  }
}

let connectors = 0;

/** A valid connector with a unique name. */
export const connectorSpec = (fields: object = {}) => ({
  displayName: `lake ${++connectors}`,
  kind: ConnectorKind.CONNECTOR_KIND_ICEBERG,
  uri: 'file:///warehouse',
  ...fields,
});

/** Fields of a connector that drops what is gone upstream, as soon as a job asks for it. */
export const DROPS = {
  policy: { missing: { action: MissingAction.MISSING_ACTION_DROP, dropAfter: { seconds: 0n, nanos: 0 } } },
};

/** Matches a result of `failure` by its code and a part of its message. */
export const refusal = (code: string, text: string) => ({ code, message: expect.stringContaining(text) });

type Aside = Partial<
  Pick<
    Parameters<typeof startCatalog>[0],
    'metricsAddress' | 'healthAddress' | 'retention' | 'authenticate' | 'audit' | 'tls' | 'tlsReloadMs'
  >
> & {
  /** Calls need a token, and the owner's is in the directory's file `token`. */
  ownerToken?: boolean;
};

/** A catalog service on a database file of its own. */
export class TestCatalog implements AsyncDisposable {
  readonly directory = mkdtempSync(join(tmpdir(), 'catalog-'));
  readonly file = join(this.directory, 'catalog.db');
  readonly jobs = new FakeJobs();
  /** Warnings and errors. */
  readonly log: string[] = [];
  /** How often old records were looked for and removed. */
  retentions = 0;
  address = '';
  clients!: CatalogClients;
  /** Where metrics and health are served, if the test requested them. */
  aside: Aside = {};
  #requested: Aside = {};
  #running!: Awaited<ReturnType<typeof startCatalog>>;

  /** @param aside addresses for metrics and health, and what is removed, as in `startCatalog` */
  static async start(aside: Aside = {}): Promise<TestCatalog> {
    const catalog = new TestCatalog();
    catalog.#requested = aside;
    await catalog.#start();
    return catalog;
  }

  async #start(): Promise<void> {
    const logger = pino({ level: 'debug' }, { write: (line: string) => this.#logged(line) });
    const address = '127.0.0.1:0';
    this.#running = await startCatalog({
      authenticate: this.#requested.ownerToken ? { ownerTokenFile: join(this.directory, 'token') } : anyone,
      ...this.#requested,
      address,
      databaseFile: this.file,
      jobs: this.jobs,
      logger,
    });
    this.address = this.#running.address;
    this.aside = this.#running;
    this.clients = connectCatalog(this.address);
  }

  #logged(line: string): void {
    const { level, msg } = JSON.parse(line) as { level: number; msg?: string };
    if (level >= pino.levels.values.warn!) this.log.push(line);
    if (msg?.endsWith('old records were removed')) this.retentions += 1;
  }

  /** Stops the service and leaves the clients open. */
  async stopService(): Promise<void> {
    await this.#running.stop();
  }

  async stop(): Promise<void> {
    this.clients.close();
    await this.stopService();
  }

  async restart(): Promise<void> {
    await this.stop();
    await this.#start();
  }

  /** Starts the service after `stop`. */
  async startAgain(): Promise<void> {
    await this.#start();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    rmSync(this.directory, { recursive: true, force: true });
  }

  /** Claims a connector as a run of a job does. `dead` is a job that the caller found not to run. */
  claim(
    connectorId: string,
    jobId: string,
    {
      runId = `run-of-${jobId}`,
      dead = '',
      continued = false,
      ...job
    }: Partial<ReconcileJob> & { dead?: string; continued?: boolean } = {},
  ): Promise<{ holderJobId: string; epoch: bigint }> {
    const request = { connectorId, job: { jobId, ...job }, runId, deadHolderJobId: dead, continued };
    return this.clients.reconciliation.claimConnector(request);
  }

  /** Ends a job as its workflow does. */
  endJob(connectorId: string, jobId: string, job: Partial<ReconcileJob> = {}): Promise<EndJobResponse> {
    const record = { jobId, connectorId, state: JobState.JS_SUCCEEDED, ...job };
    return this.clients.reconciliation.endJob({ job: record, connectorId });
  }

  /** Creates a catalog and a namespace. */
  async namespace(name = `c${Math.random()}`): Promise<{ catalogId: string; namespaceId: string }> {
    const { catalogId } = await this.clients.catalogs.createCatalog({ catalog: { displayName: name } });
    const { namespaceId } = await this.clients.namespaces.createNamespace({ namespace: { catalogId, path: ['fx'] } });
    return { catalogId, namespaceId };
  }
}

/** The error with which a call fails: the name of its code, and its message. */
export async function failure(call: Promise<unknown>): Promise<{ code: string; message: string }> {
  try {
    await call;
  } catch (error) {
    if (!(error instanceof ClientError)) throw error;
    const [code = ''] = error.message.split(': ')[0]?.split(' ').slice(-1) ?? [];
    return { code, message: error.details };
  }
  throw new Error('the call did not fail');
}

export async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = [];
  for await (const item of items) list.push(item);
  return list;
}
