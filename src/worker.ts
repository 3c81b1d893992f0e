import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Client } from '@temporalio/client';
import type { PayloadCodec } from '@temporalio/common';
import { loadClientConnectConfig } from '@temporalio/envconfig';
import { NativeConnection, Worker, type WorkerOptions } from '@temporalio/worker';
import type { Logger } from 'pino';
import { createControlActivities, createIngestActivities } from './activities/index.ts';
import { activityFields } from './activities/runtime/activity-fields.ts';
import { connectorPool } from './activities/runtime/connector-pool.ts';
import type { ActivityDeps } from './activities/runtime/deps.ts';
import { rateLimiters } from './activities/runtime/rate-limiter.ts';
import { type CatalogClients, connectCatalog } from './catalog-client/connect.ts';
import type { Config } from './config.ts';
import { openConnector } from './connectors/open-connector.ts';
import { INGEST_TASK_QUEUE, TASK_QUEUE } from './contract/names.ts';
import { type Check, serveHealth } from './telemetry/http/health.ts';
import { installRuntime } from './telemetry/runtime.ts';
import { observeActivities, tracingSinks } from './telemetry/tracing/worker-tracing.ts';
import { connectTemporal } from './temporal/connect.ts';
import { temporalJobControl } from './temporal/job-control.ts';
import { openPayloadCodec } from './temporal/payload-codec.ts';
import { describeNamespace, hasSearchAttributes } from './temporal/search-attributes-registered.ts';

/** Activities that are under way have so long to end by themselves when the worker is asked to stop. */
const SHUTDOWN_GRACE_TIME = '10s';
/** Ingests at once, of all queues. Each streams; together they bound the worker's memory. */
const MAX_INGESTS = 16;
/** `ServingStatus.SERVING` of grpc.health.v1. */
const SERVING = 1;

const INTERCEPTORS = { activity: [observeActivities(activityFields)] };

export interface RunningWorker {
  /** Resolves when the worker has stopped; rejects when it broke. */
  run(): Promise<void>;
  shutdown(): void;
}

/**
 * Connects to Temporal and the catalog and starts a worker for the queue of workflows and those of ingests.
 *
 * @param options.ingestQueues task queues of ingests; without any the common one
 * @param options.openConnector opens upstreams; without it, after their kind
 * @throws CodedError UNAVAILABLE where Temporal cannot be reached, or an address of `config` cannot be listened on; NOT_FOUND without the
 *   namespace; that of a codec key which cannot be read. Nothing keeps the process alive then
 */
export async function startWorker(options: {
  config: Config;
  logger: Logger;
  ingestQueues?: string[];
  openConnector?: typeof openConnector;
  splitSize?: ActivityDeps['splitSize'];
}): Promise<RunningWorker> {
  const { config, logger, openConnector: openOne = openConnector, splitSize } = options;
  const ingestQueues = [...new Set(options.ingestQueues ?? [INGEST_TASK_QUEUE])];
  installRuntime({ logger, metricsAddress: config.metricsAddress });
  const { namespace = 'default' } = loadClientConnectConfig();
  const codec = await openPayloadCodec(config.codecKeys);
  const workers: Worker[] = [];
  const { client, connection, catalog, close } = await connectAll(config, codec, workers);
  const gateOf = rateLimiters(catalog);
  const open: ActivityDeps['openUncached'] = (spec) =>
    openOne(spec, { localRoots: config.localRoots, ...(spec.cappedId && { gate: gateOf(spec.cappedId) }) });
  const deps: ActivityDeps = {
    catalog,
    jobs: temporalJobControl(async () => client),
    openConnector: connectorPool(open),
    openUncached: open,
    hasSearchAttributes: () => hasSearchAttributes(client),
    temporalUi: config.temporalUi,
    splitSize,
    logger,
  };
  const common = {
    connection,
    namespace,
    shutdownGraceTime: SHUTDOWN_GRACE_TIME,
    // Cancellation reaches activities in the answers to their heartbeats, which the SDK else sends every 48 s.
    maxHeartbeatThrottleInterval: '2s',
    // Messages of failures name tables: with a codec they are payloads too.
    dataConverter: codec && { payloadCodecs: [codec], failureConverterPath: pathOf('./temporal/encoded-failures.cjs') },
    interceptors: INTERCEPTORS,
    sinks: tracingSinks(),
    workerDeploymentOptions: deploymentOf(config, logger),
  } satisfies WorkerOptions | object;
  const specs: WorkerOptions[] = [
    {
      ...common,
      ...workflowCode(codec !== undefined),
      taskQueue: TASK_QUEUE,
      activities: createControlActivities(deps),
    },
    ...ingestQueues.map((taskQueue) => ({
      ...common,
      taskQueue,
      activities: createIngestActivities(deps),
      maxConcurrentActivityTaskExecutions: Math.ceil(MAX_INGESTS / ingestQueues.length),
    })),
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
    async run() {
      try {
        // One that breaks takes the others with it: a half-alive worker would only hold up jobs.
        await Promise.all(
          workers.map((worker) =>
            worker.run().catch((error) => {
              shutdown();
              throw error;
            }),
          ),
        );
      } finally {
        await close();
      }
    },
    shutdown,
  };
}

/**
 * Connections to Temporal and the catalog, and what answers probes; `close` ends all of them. Where one fails none stays: it would keep a
 * process alive that does nothing.
 */
async function connectAll(config: Config, codec: PayloadCodec | undefined, workers: readonly Worker[]) {
  const opened: (() => Promise<void> | void)[] = [];
  const close = async () => {
    for (const end of opened.splice(0).reverse()) {
      try {
        await end();
      } catch {
        // A worker that never ran has the connection still, which keeps no process alive.
      }
    }
  };
  try {
    const client = await connectTemporal(codec);
    opened.push(() => client.connection.close());
    await describeNamespace(client);
    const connection = await NativeConnection.connect(loadClientConnectConfig().connectionOptions);
    opened.push(() => connection.close());
    const catalog = connectCatalog(config.address);
    opened.push(() => catalog.close());
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

/** A worker that has lost Temporal or the catalog takes part again by itself: it is alive, and not ready. */
function readiness(workers: readonly Worker[], client: Client, catalog: CatalogClients): Record<string, Check> {
  return {
    async polling() {
      if (workers.length === 0) throw new Error('the worker starts');
      const idle = workers.filter((worker) => worker.getState() !== 'RUNNING');
      if (idle.length > 0) throw new Error(idle.map(({ options }) => `${options.taskQueue} is not polled`).join(', '));
    },
    async temporal(signal) {
      await client.connection.withAbortSignal(signal, () => client.connection.workflowService.getSystemInfo({}));
    },
    async catalog(signal) {
      const { status } = await catalog.health.check({ service: '' }, { signal });
      if (Number(status) !== SERVING) throw new Error('does not serve');
    },
  };
}

/** Runs stay with the version of the worker that began them; undefined where workers have none. */
function deploymentOf({ deployment, buildId }: Config, logger: Logger): WorkerOptions['workerDeploymentOptions'] {
  if (deployment === undefined) return undefined;
  const version = { deploymentName: deployment, buildId: buildId ?? defaultBuildId() };
  logger.info(
    version,
    `new runs come here once this version is current: temporal worker deployment set-current-version --deployment-name ${deployment} --build-id ${version.buildId}`,
  );
  return { version, useWorkerVersioning: true, defaultVersioningBehavior: 'PINNED' };
}

/** The package's version and a hash of the workflows' code, which decides whether a run can go on; not of the paths in its source map. */
function defaultBuildId(): string {
  const { version } = JSON.parse(readFileSync(pathOf('../package.json'), 'utf8'));
  const bundle = pathOf('./workflow-bundle.js');
  if (!existsSync(bundle)) return version;
  const code = readFileSync(bundle, 'utf8').replace(/^\/\/# sourceMappingURL=.*$/gm, '');
  return `${version}-${createHash('sha256').update(code).digest('hex').slice(0, 12)}`;
}

/**
 * The bundle that the build made; from sources (tests) it is made anew.
 *
 * @param encodesFailures the one whose failures' messages are payloads: what runs in a workflow cannot see the settings
 */
function workflowCode(encodesFailures: boolean): Partial<WorkerOptions> {
  const bundle = pathOf(encodesFailures ? './workflow-bundle-encoding.js' : './workflow-bundle.js');
  if (existsSync(bundle)) return { workflowBundle: { codePath: bundle } };
  return {
    workflowsPath: pathOf('./workflows/index.ts'),
    interceptors: { ...INTERCEPTORS, workflowModules: [pathOf('./workflows/tracing.ts')] },
  };
}

const pathOf = (relative: string) => fileURLToPath(new URL(relative, import.meta.url));
