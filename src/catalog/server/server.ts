import { createServer, type Server } from 'nice-grpc';
import { errorDetailsServerMiddleware } from 'nice-grpc-error-details';
import { HealthDefinition, HealthServiceImpl, HealthState } from 'nice-grpc-server-health';
import { ServerReflection, ServerReflectionService } from 'nice-grpc-server-reflection';
import type { Logger } from 'pino';
import type { Retention, TlsFiles } from '../../config.ts';
import { CodedError } from '../../errors.ts';
import { serveHealth } from '../../telemetry/http/health.ts';
import { type HttpEndpoint, serveHttp } from '../../telemetry/http/http-endpoint.ts';
import { currentTracing } from '../../telemetry/tracing/tracing.ts';
import { type AuditLog, createAuditLog } from '../audit/audit-log.ts';
import { type AuditScope, auditCalls, auditRefusal } from '../audit/audit-middleware.ts';
import { acceptTokens, type TokenOptions } from '../auth/accept-tokens.ts';
import { type Authenticate, authorizeCalls } from '../auth/authorize-middleware.ts';
import { fenceCalls } from '../auth/claim-middleware.ts';
import { createDeletions } from '../connectors/delete-connector.ts';
import { type CatalogMetrics, createCatalogMetrics } from '../core/metrics.ts';
import type { CatalogDeps } from '../core/ports.ts';
import { createLostJobs } from '../jobs/lost-jobs.ts';
import { createJobObserver } from '../jobs/observe-jobs.ts';
import { limitCalls } from '../limits/limit-middleware.ts';
import { createTenantLimits } from '../limits/tenant-limits.ts';
import { CALL_LIMITS } from '../rpc/call-limits.ts';
import { errorMiddleware } from '../rpc/error-middleware.ts';
import { withTunedServer } from '../rpc/http2-server.ts';
import { timeCalls, traceCalls } from '../rpc/observe-middleware.ts';
import { createScheduleKeeper } from '../schedules/schedule-keeper.ts';
import { createPurge } from '../store/cleanup/purge.ts';
import type { Removed } from '../store/cleanup/removed.ts';
import { createRetention } from '../store/cleanup/retention.ts';
import { openClock } from '../store/clock/clock.ts';
import { type Database, openDatabase } from '../store/database/database.ts';
import { type DatabaseLock, lockDatabase } from '../store/database/database-lock.ts';
import { catalogIdOf } from '../store/database/service.ts';
import { discardReplacements } from '../store/ingest/replace-stream.ts';
import { checkDatabase } from './check-database.ts';
import { readDescriptorSet } from './descriptor-set.ts';
import { addServices, SERVICE_NAMES } from './services.ts';
import { createTenantJobs, type JobSources, type TenantJobs } from './tenant-jobs.ts';
import { openTls, type ServerTls } from './tls.ts';
import { watchDatabase } from './watch-database.ts';

export interface CatalogOptions extends JobSources {
  /** host:port; port 0 selects a free port. */
  address: string;
  /** A path, or `:memory:`. */
  databaseFile: string;
  /** Determines who is calling, or which tokens do. */
  authenticate: Authenticate | TokenOptions;
  /** Which calls are recorded besides those that are refused; `writes` by default. */
  audit?: AuditScope;
  /** Absent: plaintext. */
  tls?: TlsFiles;
  /** How often the TLS files are read again, for tests. */
  tlsReloadMs?: number;
  logger: Logger;
  /** Absent: nothing is removed. */
  retention?: Retention;
  /** host:port on which `/metrics` is served. */
  metricsAddress?: string;
  /** Bearer token that requests for `/metrics` must send. */
  metricsToken?: string;
  /** host:port on which `/healthz` and `/readyz` are served. */
  healthAddress?: string;
}

export interface RunningCatalog {
  /** The addresses have the actual ports. */
  address: string;
  metricsAddress?: string;
  healthAddress?: string;
  /** Resolves with the reason if the service must not go on: another service may use its database. Stop it then. */
  failed: Promise<CodedError>;
  /** Accepts no more calls, waits up to 10 s for running calls, then closes the database. */
  stop(): Promise<void>;
}

/** Clients send chunks of about 1 MiB. gRPC rejects larger messages than this with RESOURCE_EXHAUSTED. */
const MAX_RECEIVE_BYTES = 8 * 1024 * 1024;
/** When the service stops, calls that have not ended within this time are aborted. */
const DRAIN_MS = 10_000;

/**
 * Starts the catalog service.
 *
 * @throws CodedError UNAVAILABLE if the service cannot listen on an address or open the database, DATA_LOSS if the database is too damaged to
 *   be opened, FAILED_PRECONDITION if a newer version has written it or another catalog service uses it
 */
export async function startCatalog(options: CatalogOptions): Promise<RunningCatalog> {
  const { logger } = options;
  const lock = await lockDatabase(options.databaseFile, {
    onWait: () => logger.warn({ database: options.databaseFile }, 'waiting for another catalog service to stop'),
  });
  const parts: (() => unknown)[] = [() => lock.release()];
  /** Ends what was started, the last part first. One that fails does not keep the others: the database would stay locked. */
  const end = async (): Promise<void> => {
    for (const endPart of parts.toReversed()) {
      await (async () => endPart())().catch((err) =>
        logger.error({ err }, 'a part of the catalog service cannot be ended'),
      );
    }
  };
  try {
    return await start(options, lock, parts, end);
  } catch (error) {
    await end();
    throw error;
  }
}

/** @param parts gets what ends each part, in the order in which the parts are started */
async function start(
  options: CatalogOptions,
  lock: DatabaseLock,
  parts: (() => unknown)[],
  end: () => Promise<void>,
): Promise<RunningCatalog> {
  const { logger } = options;
  const check = await checkDatabase(options.databaseFile, logger);
  parts.push(check.stop);
  const database = await openDatabase(options.databaseFile);
  const { db } = database;
  parts.push(() => database.close());
  const clock = await openClock(db, logger);
  parts.push(() => clock.stop());
  // A connection of the check would keep the write-ahead log when the database is closed.
  parts.push(check.stop);
  await check.report(database.health);
  // A damaged database is served nevertheless, as far as it can be read.
  if (database.health.problem === undefined) await discardReplacements(db);
  const catalogId = await catalogIdOf(db);
  const metrics = options.metricsAddress === undefined ? undefined : createCatalogMetrics(database);
  let serving = false;
  const endpoints: HttpEndpoints = {};
  parts.push(() => closeEndpoints(endpoints));
  await serveHttpEndpoints(endpoints, options, { metrics, database, isServing: () => serving });
  const temporal = createTenantJobs(options, db);
  parts.push(() => temporal.close());
  const purge = createPurge(db, logger);
  parts.push(() => purge.stop());
  const observeJobOf = createJobObserver(logger, metrics);
  const schedules = createScheduleKeeper({ db, jobsOf: temporal.of, logger }, catalogId);
  parts.push(() => schedules.stop());
  const limits = createTenantLimits({ db });
  const common = {
    db,
    database,
    logger,
    limits,
    clock,
    jobsOf: temporal.of,
    schedules,
    purge: purge.kick,
    observeJobOf,
  };
  const lostJobs = createLostJobs(common);
  parts.push(() => lostJobs.stop());
  const deletions = createDeletions(common);
  parts.push(() => deletions.stop());
  const audit = createAuditLog({ db }, logger);
  parts.push(() => audit.stop());
  const health = HealthState();
  const { authenticate: identity } = options;
  const authenticate = typeof identity === 'function' ? identity : await acceptTokens(identity, { db, logger });
  const server = buildServer(
    { ...common, deletions },
    temporal,
    { authenticate, audit, auditScope: options.audit ?? 'writes' },
    health,
    metrics,
  );
  const tls = options.tls && (await openTls(options.tls, logger, options.tlsReloadMs));
  parts.push(() => tls?.stop());
  const port = await listen(server, options.address, tls);
  serving = true;
  const setHealthy = (isHealthy: boolean) => {
    for (const name of ['', ...SERVICE_NAMES]) health.setStatus(isHealthy ? 'healthy' : 'unhealthy', name);
  };
  setHealthy(true);
  const watch = watchDatabase(database.health, lock, { logger, setHealthy });
  purge.kick();
  deletions.resume();
  const onRemoved = (removed: Removed) => metrics?.removed(removed);
  const retention = createRetention({ db, clock, logger, onRemoved }, options.retention ?? {});
  parts.push(() => retention.stop());
  const address = `${options.address.slice(0, options.address.lastIndexOf(':'))}:${port}`;
  logger.info({ address, database: options.databaseFile }, 'the catalog service is listening');
  let stopped: Promise<void> | undefined;
  const stop = async (): Promise<void> => {
    serving = false;
    watch.stop();
    setHealthy(false);
    await drain(server, logger);
    await end();
    logger.info({ address }, 'the catalog service has stopped');
  };
  return {
    address,
    metricsAddress: endpoints.metrics?.address,
    healthAddress: endpoints.health?.address,
    failed: watch.unlocked,
    stop: () => (stopped ??= stop()),
  };
}

/** Endpoints for Prometheus and for health checks, each on its own address. */
interface HttpEndpoints {
  metrics?: HttpEndpoint;
  health?: HttpEndpoint;
}

async function closeEndpoints({ metrics, health }: HttpEndpoints): Promise<void> {
  await Promise.all([metrics?.close(), health?.close()]);
}

async function serveHttpEndpoints(
  endpoints: HttpEndpoints,
  { metricsAddress, metricsToken, healthAddress }: CatalogOptions,
  sources: { metrics: CatalogMetrics | undefined; database: Database; isServing: () => boolean },
): Promise<void> {
  const { metrics, database, isServing } = sources;
  if (healthAddress !== undefined) {
    const checks = {
      async serving() {
        if (!isServing()) throw new Error('the service is starting or stopping');
      },
      database: () => database.ping(),
    };
    endpoints.health = await serveHealth(healthAddress, checks);
  }
  if (metricsAddress !== undefined && metrics !== undefined) {
    const pages = { '/metrics': async () => ({ status: 200, ...(await metrics.text()) }) };
    endpoints.metrics = await serveHttp(metricsAddress, 'RECONCILER_METRICS_ADDRESS', pages, metricsToken);
  }
}

function buildServer(
  deps: CatalogDeps,
  temporal: TenantJobs,
  access: { authenticate: Authenticate; audit: AuditLog; auditScope: AuditScope },
  health: HealthState,
  metrics: CatalogMetrics | undefined,
): Server {
  const plain = createServer({
    ...CALL_LIMITS,
    'grpc.max_receive_message_length': MAX_RECEIVE_BYTES,
    'grpc.max_send_message_length': -1,
  });
  const timed = metrics === undefined ? plain : plain.use(timeCalls(metrics));
  const server = (currentTracing() === undefined ? timed : timed.use(traceCalls))
    .use(errorDetailsServerMiddleware)
    .use(errorMiddleware(deps.logger, (error) => deps.database.health.explain(error)))
    .use(authorizeCalls(access.authenticate, auditRefusal(access.audit)))
    .use(limitCalls(deps.limits))
    .use(auditCalls(access.audit, access.auditScope))
    .use(fenceCalls);
  addServices(server, deps, temporal.forget);
  server.add(HealthDefinition, HealthServiceImpl(health));
  const descriptors = readDescriptorSet();
  if (descriptors)
    server.add(ServerReflectionService, ServerReflection(descriptors, [...SERVICE_NAMES, HealthDefinition.fullName]));
  else
    deps.logger.warn(
      'gRPC reflection is off because the descriptor set is missing next to the generated code; `npm run build` creates it',
    );
  return server as Server;
}

async function listen(server: Server, address: string, tls: ServerTls | undefined): Promise<number> {
  try {
    const { result, servers } = await withTunedServer(() => server.listen(address, tls?.credentials));
    tls?.keepUpToDate(servers);
    return result;
  } catch (cause) {
    const why = /EADDRINUSE/.test(String(cause)) ? 'the port is in use' : (cause as Error).message;
    throw new CodedError('UNAVAILABLE', `catalog service cannot listen on ${address}: ${why}; use another address`, {
      cause,
    });
  }
}

async function drain(server: Server, logger: Logger): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<'late'>((resolve) => {
    timer = setTimeout(() => resolve('late'), DRAIN_MS);
  });
  const ended = server.shutdown();
  // The shutdown fails if a call is aborted afterwards, but it has ended nevertheless.
  ended.catch(() => undefined);
  if ((await Promise.race([ended, late])) === 'late') {
    logger.warn(`aborting calls that did not end within ${DRAIN_MS} ms`);
    server.forceShutdown();
  }
  clearTimeout(timer);
}
