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
import { ViewsDefinition } from '../../generated/reconciler/v1/views.ts';
import { createAuditService } from '../audit/audit-service.ts';
import { createBindingsService } from '../bindings/bindings-service.ts';
import { createConnectorRpcs } from '../connectors/connector-rpcs.ts';
import type { ServiceDeps } from '../core/ports.ts';
import { createIngestionService, ingestionDefinition } from '../ingest/ingestion-service.ts';
import { createJobsService } from '../jobs/jobs-service.ts';
import { createJobStarter } from '../jobs/start-job.ts';
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
  ViewsDefinition,
].map((definition) => definition.fullName);

/** The part of a server that registers services. */
interface Registrar {
  add(definition: CompatServiceDefinition, implementation: never): void;
}

/** Registers every service. */
export function addServices(server: { add: unknown }, deps: ServiceDeps): void {
  const registrar = server as Registrar;
  registrar.add(lenientDefinition(AuditDefinition), createAuditService(deps) as never);
  registrar.add(lenientDefinition(BindingsDefinition), createBindingsService(deps) as never);
  registrar.add(lenientDefinition(CatalogsDefinition), createCatalogsService(deps) as never);
  const starter = createJobStarter(deps);
  const connectors = { ...createConnectorRpcs(deps), ...createTriggerRpcs(starter) };
  registrar.add(lenientDefinition(ConnectorsDefinition), connectors as never);
  registrar.add(lenientDefinition(DirectoryDefinition), createDirectoryService(deps) as never);
  registrar.add(ingestionDefinition, createIngestionService(deps) as never);
  registrar.add(lenientDefinition(NamespacesDefinition), createNamespacesService(deps) as never);
  registrar.add(
    lenientDefinition(PlansDefinition, { complete: ['getPlan', 'streamPlan'] }),
    createPlansService(deps) as never,
  );
  registrar.add(lenientDefinition(ReconcileJobsDefinition), createJobsService(deps, starter) as never);
  registrar.add(lenientDefinition(ReconciliationDefinition), createReconciliationService(deps) as never);
  registrar.add(lenientDefinition(SchedulesDefinition), createSchedulesService(deps) as never);
  registrar.add(lenientDefinition(SnapshotsDefinition), createSnapshotsService(deps) as never);
  registrar.add(statisticsDefinition, createStatisticsService(deps) as never);
  registrar.add(lenientDefinition(TablesDefinition), createTablesService(deps) as never);
  registrar.add(lenientDefinition(ViewsDefinition), createViewsService(deps) as never);
}
