import type { CompatServiceDefinition } from 'nice-grpc';
import { BindingsDefinition } from '../../generated/reconciler/internal/v1/bindings.ts';
import { IngestionDefinition } from '../../generated/reconciler/internal/v1/ingestion.ts';
import { ReconciliationDefinition } from '../../generated/reconciler/internal/v1/reconciliation.ts';
import { AuditDefinition } from '../../generated/reconciler/v1/audit.ts';
import { CatalogsDefinition } from '../../generated/reconciler/v1/catalogs.ts';
import { ConnectorsDefinition } from '../../generated/reconciler/v1/connectors.ts';
import { DirectoryDefinition } from '../../generated/reconciler/v1/directory.ts';
import { ReconcileJobsDefinition } from '../../generated/reconciler/v1/jobs.ts';
import { NamespacesDefinition } from '../../generated/reconciler/v1/namespaces.ts';
import { PlansDefinition } from '../../generated/reconciler/v1/plans.ts';
import { SchedulesDefinition } from '../../generated/reconciler/v1/schedules.ts';
import { SnapshotsDefinition } from '../../generated/reconciler/v1/snapshots.ts';
import { TableStatisticsDefinition } from '../../generated/reconciler/v1/statistics.ts';
import { TablesDefinition } from '../../generated/reconciler/v1/tables.ts';
import { TenantsDefinition } from '../../generated/reconciler/v1/tenants.ts';
import { TokensDefinition } from '../../generated/reconciler/v1/tokens.ts';
import { ViewsDefinition } from '../../generated/reconciler/v1/views.ts';
import { createAuditService } from '../audit/audit-service.ts';
import { createBindingsService } from '../bindings/bindings-service.ts';
import { createConnectorRpcs } from '../connectors/connector-rpcs.ts';
import { RequestQueues } from '../connectors/rate-limit.ts';
import { type CatalogDeps, jobDepsOf, type ServiceDeps } from '../core/ports.ts';
import { createIngestionService, ingestionDefinition } from '../ingest/ingestion-service.ts';
import { createJobsService } from '../jobs/jobs-service.ts';
import { createJobStarter, type Starting } from '../jobs/start-job.ts';
import { createTriggerRpcs } from '../jobs/trigger-rpcs.ts';
import { createCatalogsService } from '../names/catalogs-service.ts';
import { createDirectoryService } from '../names/directory-service.ts';
import { createNamespacesService } from '../names/namespaces-service.ts';
import { createPlansService } from '../plans/plans-service.ts';
import { createReconciliationService } from '../reconciliation/reconciliation-service.ts';
import { lenientDefinition } from '../rpc/definitions.ts';
import { createSchedulesService } from '../schedules/schedules-service.ts';
import { createSnapshotsService } from '../snapshots/snapshots-service.ts';
import { createStatisticsService, statisticsDefinition } from '../statistics/statistics-service.ts';
import { createTablesService } from '../tables/tables-service.ts';
import { createViewsService } from '../tables/views-service.ts';
import { createTenantsService } from '../tenants/tenants-service.ts';
import { createTokensService } from '../tokens/tokens-service.ts';
import { createTenantServices, type Implementations } from './tenant-services.ts';

/** Full names of the services, for health checks and reflection. */
export const SERVICE_NAMES: readonly string[] = [
  AuditDefinition,
  BindingsDefinition,
  CatalogsDefinition,
  ConnectorsDefinition,
  DirectoryDefinition,
  IngestionDefinition,
  NamespacesDefinition,
  PlansDefinition,
  ReconcileJobsDefinition,
  ReconciliationDefinition,
  SchedulesDefinition,
  SnapshotsDefinition,
  TableStatisticsDefinition,
  TablesDefinition,
  TenantsDefinition,
  TokensDefinition,
  ViewsDefinition,
].map((definition) => definition.fullName);

/** The part of a server that registers services. */
interface Registrar {
  add(definition: CompatServiceDefinition, implementation: never): void;
}

/** Registers every service. @param forgetJobs forgets what is known of a tenant's namespace in Temporal */
export function addServices(server: { add: unknown }, deps: CatalogDeps, forgetJobs: (tenant: string) => void): void {
  const registrar = server as Registrar;
  const { db } = deps;
  const starting: Starting = new Map();
  const queues = new RequestQueues();
  const services = createTenantServices(db, (tenant) => servicesOf(serviceDepsOf(deps, tenant), starting, queues));
  for (const definition of DEFINITIONS) registrar.add(definition, services.dispatcher(definition) as never);
  const onChange = (tenant: string) => {
    services.forget(tenant);
    forgetJobs(tenant);
  };
  registrar.add(lenientDefinition(AuditDefinition), createAuditService({ db }) as never);
  registrar.add(lenientDefinition(TokensDefinition), createTokensService({ db, logger: deps.logger }) as never);
  registrar.add(lenientDefinition(TenantsDefinition), createTenantsService({ db, onChange }) as never);
}

/** The services whose calls belong to a tenant. */
const DEFINITIONS: readonly CompatServiceDefinition[] = [
  lenientDefinition(BindingsDefinition),
  lenientDefinition(CatalogsDefinition),
  lenientDefinition(ConnectorsDefinition),
  lenientDefinition(DirectoryDefinition),
  ingestionDefinition,
  lenientDefinition(NamespacesDefinition),
  lenientDefinition(PlansDefinition, { complete: ['getPlan', 'streamPlan'] }),
  lenientDefinition(ReconcileJobsDefinition),
  lenientDefinition(ReconciliationDefinition),
  lenientDefinition(SchedulesDefinition),
  lenientDefinition(SnapshotsDefinition),
  statisticsDefinition,
  lenientDefinition(TablesDefinition),
  lenientDefinition(ViewsDefinition),
];

function serviceDepsOf(deps: CatalogDeps, tenant: string): ServiceDeps {
  const { database, logger, clock, schedules, deletions, purge } = deps;
  const ofJobs = jobDepsOf(deps, tenant);
  return {
    ...ofJobs,
    database: { sqlite: database.sqlite, db: ofJobs.db },
    logger,
    clock,
    schedules: schedules.of(tenant),
    deletions: { delete: (request) => deletions.delete(tenant, request) },
    purge,
    limits: deps.limits,
  };
}

/** The services of one tenant. */
function servicesOf(deps: ServiceDeps, starting: Starting, queues: RequestQueues): Implementations {
  const starter = createJobStarter(deps, starting);
  return {
    [BindingsDefinition.fullName]: createBindingsService(deps),
    [CatalogsDefinition.fullName]: createCatalogsService(deps),
    [ConnectorsDefinition.fullName]: { ...createConnectorRpcs(deps), ...createTriggerRpcs(starter) },
    [DirectoryDefinition.fullName]: createDirectoryService(deps),
    [IngestionDefinition.fullName]: createIngestionService(deps),
    [NamespacesDefinition.fullName]: createNamespacesService(deps),
    [PlansDefinition.fullName]: createPlansService(deps),
    [ReconcileJobsDefinition.fullName]: createJobsService(deps, starter),
    [ReconciliationDefinition.fullName]: createReconciliationService(deps, queues),
    [SchedulesDefinition.fullName]: createSchedulesService(deps),
    [SnapshotsDefinition.fullName]: createSnapshotsService(deps),
    [TableStatisticsDefinition.fullName]: createStatisticsService(deps),
    [TablesDefinition.fullName]: createTablesService(deps),
    [ViewsDefinition.fullName]: createViewsService(deps),
  };
}
