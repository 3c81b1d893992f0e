import type { CompatServiceDefinition } from 'nice-grpc';
import { CatalogsDefinition } from '../../generated/reconciler/v1/catalogs.ts';
import { ConnectorsDefinition } from '../../generated/reconciler/v1/connectors.ts';
import { DirectoryDefinition } from '../../generated/reconciler/v1/directory.ts';
import { NamespacesDefinition } from '../../generated/reconciler/v1/namespaces.ts';
import { PlansDefinition } from '../../generated/reconciler/v1/plans.ts';
import { ReconciliationDefinition } from '../../generated/reconciler/v1/reconciliation.ts';
import { SnapshotsDefinition } from '../../generated/reconciler/v1/snapshots.ts';
import { TableStatisticsDefinition } from '../../generated/reconciler/v1/statistics.ts';
import { TablesDefinition } from '../../generated/reconciler/v1/tables.ts';
import { ViewsDefinition } from '../../generated/reconciler/v1/views.ts';
import { createConnectorRpcs } from '../connectors/connector-rpcs.ts';
import type { ServiceDeps } from '../core/ports.ts';
import { createJobRpcs } from '../jobs/job-rpcs.ts';
import { createCatalogsService } from '../names/catalogs-service.ts';
import { createDirectoryService } from '../names/directory-service.ts';
import { createNamespacesService } from '../names/namespaces-service.ts';
import { createPlansService } from '../plans/plans-service.ts';
import { createReconciliationService } from '../reconciliation/reconciliation-service.ts';
import { lenientDefinition } from '../rpc/definitions.ts';
import { createScheduleRpcs } from '../schedules/schedule-rpcs.ts';
import { createSnapshotsService } from '../snapshots/snapshots-service.ts';
import { createStatisticsService, statisticsDefinition } from '../statistics/statistics-service.ts';
import { createTablesService } from '../tables/tables-service.ts';
import { createViewsService } from '../tables/views-service.ts';

/** Full names of the services, for health and reflection. */
export const SERVICE_NAMES: readonly string[] = [
  CatalogsDefinition,
  ConnectorsDefinition,
  DirectoryDefinition,
  NamespacesDefinition,
  PlansDefinition,
  ReconciliationDefinition,
  SnapshotsDefinition,
  TableStatisticsDefinition,
  TablesDefinition,
  ViewsDefinition,
].map((definition) => definition.fullName);

interface Adder {
  add(definition: CompatServiceDefinition, implementation: never): void;
}

/** Registers every service. */
export function addServices(server: { add: unknown }, deps: ServiceDeps): void {
  const to = server as Adder;
  to.add(lenientDefinition(CatalogsDefinition), createCatalogsService(deps) as never);
  const connectors = { ...createConnectorRpcs(deps), ...createJobRpcs(deps), ...createScheduleRpcs(deps) };
  to.add(lenientDefinition(ConnectorsDefinition), connectors as never);
  to.add(lenientDefinition(DirectoryDefinition), createDirectoryService(deps) as never);
  to.add(lenientDefinition(NamespacesDefinition), createNamespacesService(deps) as never);
  to.add(
    lenientDefinition(PlansDefinition, { complete: ['getPlan', 'streamPlan'] }),
    createPlansService(deps) as never,
  );
  to.add(lenientDefinition(ReconciliationDefinition), createReconciliationService(deps) as never);
  to.add(lenientDefinition(SnapshotsDefinition), createSnapshotsService(deps) as never);
  to.add(statisticsDefinition, createStatisticsService(deps) as never);
  to.add(lenientDefinition(TablesDefinition), createTablesService(deps) as never);
  to.add(lenientDefinition(ViewsDefinition), createViewsService(deps) as never);
}
