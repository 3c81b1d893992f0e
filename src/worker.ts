import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Client } from '@temporalio/client';
import type { PayloadCodec } from '@temporalio/common';
import { NativeConnection, Worker, type WorkerOptions } from '@temporalio/worker';
import { ClientError, Status } from 'nice-grpc';
import type { Logger } from 'pino';
import { createControlActivities, createIngestActivities, createScanActivities } from './activities/index.ts';
import { activityFields } from './activities/runtime/activity-fields.ts';
import { connectorPool } from './activities/runtime/connector-pool.ts';
import type { ActivityDeps } from './activities/runtime/deps.ts';
import { inTenant, tenantOfWorker } from './activities/runtime/in-tenant.ts';
import { ProgressReports } from './activities/runtime/progress-reports.ts';
import { rateLimiters } from './activities/runtime/rate-limiter.ts';
import type { CatalogAccess } from './catalog-client/access.ts';
import { type CatalogClients, connectCatalog } from './catalog-client/connect.ts';
import { openAccess } from './catalog-client/open-access.ts';
import { currentTenant } from './catalog-client/tenant.ts';
import type { Config } from './config.ts';
import { openConnector } from './connectors/open-connector.ts';
import { INGEST_TASK_QUEUE, REPORT_SIGNAL, scanQueueOf, TASK_QUEUE } from './contract/names.ts';
import { CodedError } from './errors.ts';
import { Role } from './generated/reconciler/v1/tokens.ts';
import { usePolicy } from './policy/current-policy.ts';
import { workerPolicy } from './policy/worker-policy.ts';
import { type Check, serveHealth } from './telemetry/http/health.ts';
import { createOutageLog } from './telemetry/outage-log.ts';
import { installRuntime } from './telemetry/runtime.ts';
import { observeActivities, tracingSinks } from './telemetry/tracing/worker-tracing.ts';
import { connectTemporal } from './temporal/connect.ts';
import { describeWorkflow } from './temporal/describe-workflow.ts';
import { temporalJobControl } from './temporal/job-control.ts';
import { openPayloadCodec } from './temporal/payload-codec.ts';
import { describeNamespace, hasSearchAttributes } from './temporal/search-attributes-registered.ts';
import { temporalSettings } from './temporal/settings.ts';
import { networkReason } from './temporal/temporal-errors.ts';

/** How long running activities may take to finish when the worker stops. */
const SHUTDOWN_GRACE_TIME = '10s';
/** Concurrent ingests of all queues together. Each one streams, so this number bounds the worker's memory. */
const MAX_INGESTS = 16;
/** Concurrent short steps of all queues together: scans, views, validations, alerts. Long ingests leave these slots to them. */
const MAX_SCANS = 16;
/** `ServingStatus.SERVING` of grpc.health.v1; nice-grpc-server-health does not export the enum. */
const SERVING = 1;

const WORKFLOW_INTERCEPTORS = ['./workflows/tracing.ts', './workflows/tenant.ts'];

export interface RunningWorker {
  /** The task queues that it polls. */
  readonly taskQueues: string[];
  /** Resolves when the worker has stopped; rejects if it fails. */
  run(): Promise<void>;
  shutdown(): void;
}

/**
 * Connects to Temporal and the catalog, and starts a worker for the task queue of workflows, for those of ingests, and for those of short
 * steps beside them.
 *
 * @param options.access how the worker identifies itself to the catalog; the default is what the settings describe
 * @param options.ingestQueues task queues of ingests; the default is the common one
 * @param options.openConnector opens upstreams; tests replace it
 * @throws CodedError UNAVAILABLE if Temporal cannot be reached or the worker cannot listen on an address of `config`; NOT_FOUND if the
 *   namespace does not exist; UNAUTHENTICATED or PERMISSION_DENIED if the catalog does not accept the worker's token; INVALID_ARGUMENT if the policy's file is wrong; the error of `openPayloadCodec` if a codec key cannot be read. Everything opened is closed again
 */
export async function startWorker(options: {
  config: Config;
  access?: CatalogAccess;
  logger: Logger;
  ingestQueues?: string[];
  openConnector?: typeof openConnector;
  splitSize?: ActivityDeps['splitSize'];
}): Promise<RunningWorker> {
  const { config, logger, openConnector: openUpstream = openConnector, splitSize } = options;
  const ingestQueues = [...new Set(options.ingestQueues ?? [INGEST_TASK_QUEUE])];
  const outages = createOutageLog(logger, 'Temporal');
  let connected: Client | undefined;
  const probe = async () =>
    connected?.connection.workflowService.getSystemInfo({}).then(() => undefined, networkReason);
  installRuntime({
    logger,
    metricsAddress: config.metricsAddress,
    onUnreachable: (reason) => outages.failed(reason, probe),
  });
  const { address, dataDir, workerPolicy: file } = config;
  const policy = workerPolicy({ file, address, dataDir });
  usePolicy(policy, currentTenant);
  if (file === undefined && !policy.allowsLocalFiles) {
    logger.warn(
      `this worker has no policy, and its catalog is on another machine (${address}): connectors can use none of its secrets and identities, and no ` +
        'private address. Set RECONCILER_WORKER_POLICY to allow some',
    );
  }
  const { namespace } = temporalSettings();
  const codec = await openPayloadCodec(config.codecKeys);
  const workers: Worker[] = [];
  const access = options.access ?? openAccess(config, config.address);
  const { client, connection, catalog, close } = await connectAll(config, access, codec, workers);
  connected = client;
  const limiterOf = rateLimiters(catalog);
  const open: ActivityDeps['openUncached'] = (spec) =>
    openUpstream(spec, {
      // Without folders that may be read, a catalog on another machine must not decide which files of this one are read.
      localRoots: config.localRoots ?? (policy.allowsLocalFiles ? undefined : []),
      warn: (message) => logger.warn(message),
      ...(spec.cappedId && { gate: limiterOf(spec.cappedId) }),
    });
  const deps: ActivityDeps = {
    catalog,
    jobs: temporalJobControl(async () => client),
    openConnector: connectorPool(open),
    openUncached: open,
    hasSearchAttributes: () => hasSearchAttributes(client),
    temporalUi: config.temporalUi ? { base: config.temporalUi, namespace } : undefined,
    splitSize,
    logger,
    heartbeatMs: config.heartbeatMs,
    isActivityPaused: async ({ workflowId, activityId }) => {
      const { pendingActivities } = await describeWorkflow(client, workflowId);
      return pendingActivities.find((activity) => activity.activityId === activityId)?.paused ?? false;
    },
    reports: new ProgressReports(({ workflowId, runId }, report) =>
      client.workflow.getHandle(workflowId, runId).signal(REPORT_SIGNAL, report),
    ),
  };
  const interceptors = {
    activity: [observeActivities(activityFields), inTenant(tenantOfWorker(catalog, access.tenant))],
  };
  const common = {
    connection,
    namespace,
    shutdownGraceTime: SHUTDOWN_GRACE_TIME,
    // Activities learn of a cancellation from the responses to heartbeats, which the SDK would otherwise send every 48 s.
    maxHeartbeatThrottleInterval: config.heartbeatMs,
    // Failure messages name tables, so a codec encrypts them too.
    dataConverter: codec && { payloadCodecs: [codec], failureConverterPath: pathOf('./temporal/encoded-failures.cjs') },
    interceptors,
    sinks: tracingSinks(),
    workerDeploymentOptions: deploymentOf(config, logger),
  } satisfies WorkerOptions | object;
  const specs: WorkerOptions[] = [
    {
      ...common,
      ...workflowCode(codec !== undefined, interceptors),
      taskQueue: TASK_QUEUE,
      activities: createControlActivities(deps),
    },
    ...ingestQueues.flatMap((taskQueue) => [
      {
        ...common,
        taskQueue,
        activities: createIngestActivities(deps),
        maxConcurrentActivityTaskExecutions: Math.ceil(MAX_INGESTS / ingestQueues.length),
      },
      {
        ...common,
        taskQueue: scanQueueOf(taskQueue),
        activities: createScanActivities(deps),
        maxConcurrentActivityTaskExecutions: Math.ceil(MAX_SCANS / ingestQueues.length),
      },
    ]),
  ];
  try {
    for (const spec of specs) workers.push(await Worker.create(spec));
  } catch (error) {
    await close();
    throw error;
  }

  const shutdown = () => {
    for (const worker of workers) if (worker.getState() === 'RUNNING') worker.shutdown();
  };
  return {
    taskQueues: specs.map(({ taskQueue }) => taskQueue),
    async run() {
      try {
        // If one worker fails, the others stop too: a process that polls only some queues would hold up jobs.
        await Promise.all(
          workers.map((worker) =>
            worker.run().catch((error) => {
              shutdown();
              throw error;
            }),
          ),
        );
      } finally {
        outages.stop();
        await close();
      }
    },
    shutdown,
  };
}

/**
 * Opens the connections to Temporal and the catalog, and the endpoint for health probes; `close` closes all of them. If one cannot be
 * opened, the others are closed, because they would keep an idle process alive.
 */
async function connectAll(
  config: Config,
  access: CatalogAccess,
  codec: PayloadCodec | undefined,
  workers: readonly Worker[],
) {
  const opened: (() => Promise<void> | void)[] = [];
  const close = async () => {
    for (const end of opened.splice(0).reverse()) {
      try {
        await end();
      } catch {
        // A worker that never ran still uses the connection; that does not keep the process alive.
      }
    }
  };
  try {
    const client = await connectTemporal(codec);
    opened.push(() => client.connection.close());
    await describeNamespace(client);
    const connection = await NativeConnection.connect(temporalSettings().connectionOptions);
    opened.push(() => connection.close());
    const catalog = connectCatalog(config.address, access);
    opened.push(() => catalog.close());
    await checkCaller(catalog, config.address, access);
    if (config.healthAddress !== undefined) {
      const health = await serveHealth(config.healthAddress, readiness(workers, client, catalog));
      opened.push(() => health.close());
    }
    return { client, connection, catalog, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/**
 * Without a valid token and the role, a worker can do nothing, which people should learn at once. A catalog that does not answer is waited for.
 *
 * @throws CodedError UNAUTHENTICATED or PERMISSION_DENIED that names where the token is from
 */
async function checkCaller(catalog: CatalogClients, address: string, { tokenSource }: CatalogAccess): Promise<void> {
  const source = tokenSource === undefined ? 'it has none' : `it is from ${tokenSource}`;
  const caller = await catalog.tokens.getCaller({}, { signal: AbortSignal.timeout(5_000) }).catch((error) => {
    if (!isRefused(error)) return undefined;
    const message = `the catalog service at ${address} does not accept the token of this worker (${source}): ${error.details}`;
    throw new CodedError('UNAUTHENTICATED', message);
  });
  if (caller === undefined || caller.roles.includes(Role.ROLE_WORKER)) return;
  throw new CodedError(
    'PERMISSION_DENIED',
    `the token of this worker (${source}) is that of '${caller.subject}', which does not have the role worker. ` +
      '`reconciler token create NAME --role worker` creates one that has it.',
  );
}

const isRefused = (error: unknown): error is ClientError =>
  error instanceof ClientError && error.code === Status.UNAUTHENTICATED;

/** Checks for `/readyz`. A worker that has lost Temporal or the catalog recovers by itself, so it is alive but not ready. */
function readiness(workers: readonly Worker[], client: Client, catalog: CatalogClients): Record<string, Check> {
  return {
    async polling() {
      if (workers.length === 0) throw new Error('the worker is starting');
      const idle = workers.filter((worker) => worker.getState() !== 'RUNNING');
      if (idle.length > 0) throw new Error(idle.map(({ options }) => `${options.taskQueue} is not polled`).join(', '));
    },
    async temporal(signal) {
      await client.connection.withAbortSignal(signal, () => client.connection.workflowService.getSystemInfo({}));
    },
    async catalog(signal) {
      const { status } = await catalog.health.check({ service: '' }, { signal });
      if (Number(status) !== SERVING) throw new Error('the catalog does not serve');
      await catalog.tokens.getCaller({}, { signal }).catch((error) => {
        if (isRefused(error)) throw new Error(`the catalog does not accept the token of this worker: ${error.details}`);
        throw error;
      });
    },
  };
}

/** Pins runs to the worker version that started them; undefined if workers have no version. */
function deploymentOf({ deployment, buildId }: Config, logger: Logger): WorkerOptions['workerDeploymentOptions'] {
  if (deployment === undefined) return undefined;
  const version = { deploymentName: deployment, buildId: buildId ?? defaultBuildId() };
  logger.info(
    version,
    `new runs use this version once it is current: temporal worker deployment set-current-version --deployment-name ${deployment} --build-id ${version.buildId}`,
  );
  return { version, useWorkerVersioning: true, defaultVersioningBehavior: 'PINNED' };
}

/**
 * The package's version and a hash of the workflow code, which decides whether a run can continue on this worker. The source map, which
 * contains paths of the build machine, is not hashed.
 */
function defaultBuildId(): string {
  const { version } = JSON.parse(readFileSync(pathOf('../package.json'), 'utf8'));
  const bundle = pathOf('./workflow-bundle.js');
  if (!existsSync(bundle)) return version;
  const code = readFileSync(bundle, 'utf8').replace(/^\/\/# sourceMappingURL=.*$/gm, '');
  return `${version}-${createHash('sha256').update(code).digest('hex').slice(0, 12)}`;
}

/**
 * The workflow bundle of the build; if there is none, as in tests, the worker bundles the sources.
 *
 * @param encodesFailures whether failure messages are payloads. There is one bundle for each, because code in a workflow cannot read settings
 */
function workflowCode(encodesFailures: boolean, interceptors: WorkerOptions['interceptors']): Partial<WorkerOptions> {
  const bundle = pathOf(encodesFailures ? './workflow-bundle-encoding.js' : './workflow-bundle.js');
  if (existsSync(bundle)) return { workflowBundle: { codePath: bundle } };
  return {
    workflowsPath: pathOf('./workflows/index.ts'),
    interceptors: { ...interceptors, workflowModules: WORKFLOW_INTERCEPTORS.map(pathOf) },
  };
}

const pathOf = (relative: string) => fileURLToPath(new URL(relative, import.meta.url));
