import type { BindingsDefinition } from '../../generated/reconciler/internal/v1/bindings.ts';
import type { IngestionDefinition } from '../../generated/reconciler/internal/v1/ingestion.ts';
import type { ReconciliationDefinition } from '../../generated/reconciler/internal/v1/reconciliation.ts';
import type { AuditDefinition } from '../../generated/reconciler/v1/audit.ts';
import type { CatalogsDefinition } from '../../generated/reconciler/v1/catalogs.ts';
import type { ConnectorsDefinition } from '../../generated/reconciler/v1/connectors.ts';
import type { DirectoryDefinition } from '../../generated/reconciler/v1/directory.ts';
import type { ReconcileJobsDefinition } from '../../generated/reconciler/v1/jobs.ts';
import type { NamespacesDefinition } from '../../generated/reconciler/v1/namespaces.ts';
import type { PlansDefinition } from '../../generated/reconciler/v1/plans.ts';
import type { SchedulesDefinition } from '../../generated/reconciler/v1/schedules.ts';
import type { SnapshotsDefinition } from '../../generated/reconciler/v1/snapshots.ts';
import type { TableStatisticsDefinition } from '../../generated/reconciler/v1/statistics.ts';
import type { TablesDefinition } from '../../generated/reconciler/v1/tables.ts';
import type { TenantsDefinition } from '../../generated/reconciler/v1/tenants.ts';
import type { TokensDefinition } from '../../generated/reconciler/v1/tokens.ts';
import type { ViewsDefinition } from '../../generated/reconciler/v1/views.ts';
import type { Role } from '../identity/principal.ts';

type Definition =
  | typeof AuditDefinition
  | typeof BindingsDefinition
  | typeof CatalogsDefinition
  | typeof ConnectorsDefinition
  | typeof DirectoryDefinition
  | typeof IngestionDefinition
  | typeof NamespacesDefinition
  | typeof PlansDefinition
  | typeof ReconcileJobsDefinition
  | typeof ReconciliationDefinition
  | typeof SchedulesDefinition
  | typeof SnapshotsDefinition
  | typeof TableStatisticsDefinition
  | typeof TablesDefinition
  | typeof TenantsDefinition
  | typeof TokensDefinition
  | typeof ViewsDefinition;

/** The paths of the RPCs of services. */
export type MethodOf<D> = D extends { fullName: infer Name extends string; methods: infer Methods }
  ? {
      [Key in keyof Methods]: Methods[Key] extends { name: infer M extends string } ? `/${Name}/${M}` : never;
    }[keyof Methods]
  : never;

/** The path of an RPC: `/reconciler.v1.Tables/GetTable`. */
export type Method = MethodOf<Definition>;

/**
 * What a call needs. `read`, `operate` and `administer` concern one tenant, and so does `work`, which only workers have. `platform` concerns
 * no tenant. `identify` needs nothing but an identity.
 */
export type Permission = 'read' | 'operate' | 'administer' | 'work' | 'platform' | 'identify';

const PERMISSIONS_OF: Record<Role, readonly Permission[]> = {
  reader: ['read'],
  operator: ['read', 'operate'],
  admin: ['read', 'operate', 'administer'],
  worker: ['read', 'work'],
  platform: ['platform'],
};

/** Whether one of the roles has one of the permissions. */
export function isAllowed(roles: readonly Role[], permissions: readonly Permission[]): boolean {
  if (permissions.includes('identify')) return true;
  return roles.some((role) => PERMISSIONS_OF[role].some((each) => permissions.includes(each)));
}

/** What each RPC needs: one of these permissions. An RPC without an entry does not compile. */
export const PERMISSIONS: Readonly<Record<Method, readonly Permission[]>> = {
  '/reconciler.v1.Audit/ListAuditEvents': ['administer', 'platform'],

  '/reconciler.v1.Catalogs/CreateCatalog': ['administer'],
  '/reconciler.v1.Catalogs/GetCatalog': ['read'],
  '/reconciler.v1.Catalogs/ListCatalogs': ['read'],
  '/reconciler.v1.Catalogs/UpdateCatalog': ['administer'],
  '/reconciler.v1.Catalogs/DeleteCatalog': ['administer'],

  '/reconciler.v1.Connectors/CreateConnector': ['administer'],
  '/reconciler.v1.Connectors/GetConnector': ['read'],
  '/reconciler.v1.Connectors/ListConnectors': ['read'],
  // An operator may set only `state`; see visible-connector.ts.
  '/reconciler.v1.Connectors/UpdateConnector': ['operate'],
  '/reconciler.v1.Connectors/DeleteConnector': ['administer'],
  '/reconciler.v1.Connectors/ValidateConnector': ['administer'],
  '/reconciler.v1.Connectors/TriggerReconcile': ['operate'],
  '/reconciler.v1.Connectors/GetReconcileJob': ['read'],

  '/reconciler.v1.Directory/Resolve': ['read'],
  '/reconciler.v1.Directory/Lookup': ['read'],

  '/reconciler.v1.Namespaces/CreateNamespace': ['administer'],
  '/reconciler.v1.Namespaces/GetNamespace': ['read'],
  '/reconciler.v1.Namespaces/ListNamespaces': ['read'],
  '/reconciler.v1.Namespaces/UpdateNamespace': ['administer'],
  '/reconciler.v1.Namespaces/DeleteNamespace': ['administer'],

  '/reconciler.v1.Plans/GetPlan': ['read'],
  '/reconciler.v1.Plans/StreamPlan': ['read'],

  '/reconciler.v1.ReconcileJobs/ListReconcileJobs': ['read'],
  '/reconciler.v1.ReconcileJobs/CancelReconcileJob': ['operate'],
  '/reconciler.v1.ReconcileJobs/RetryReconcileJob': ['operate'],
  '/reconciler.v1.ReconcileJobs/ListJobFailures': ['read'],
  '/reconciler.v1.ReconcileJobs/ListJobChanges': ['read'],
  '/reconciler.v1.ReconcileJobs/ListJobOutcomes': ['read'],

  '/reconciler.v1.Schedules/ListSchedules': ['read'],
  '/reconciler.v1.Schedules/RepairSchedules': ['operate'],

  // Workers, as those below: for snapshots whose files are not read.
  '/reconciler.v1.Snapshots/CreateSnapshot': ['administer', 'work'],
  '/reconciler.v1.Snapshots/GetSnapshot': ['read'],
  '/reconciler.v1.Snapshots/ListSnapshots': ['read'],
  '/reconciler.v1.Snapshots/DeleteSnapshot': ['administer'],

  '/reconciler.v1.TableStatistics/GetTableStats': ['read'],
  '/reconciler.v1.TableStatistics/PutTableStats': ['administer', 'work'],
  '/reconciler.v1.TableStatistics/ListColumnStats': ['read'],
  '/reconciler.v1.TableStatistics/PutColumnStats': ['administer', 'work'],
  '/reconciler.v1.TableStatistics/ListFileColumnStats': ['read'],
  '/reconciler.v1.TableStatistics/StreamFileColumnStats': ['read'],
  '/reconciler.v1.TableStatistics/PutFileColumnStats': ['administer', 'work'],

  '/reconciler.v1.Tables/CreateTable': ['administer'],
  '/reconciler.v1.Tables/GetTable': ['read'],
  '/reconciler.v1.Tables/ListTables': ['read'],
  '/reconciler.v1.Tables/UpdateTable': ['administer'],
  '/reconciler.v1.Tables/DeleteTable': ['administer'],
  '/reconciler.v1.Tables/GetTableSchema': ['read'],
  '/reconciler.v1.Tables/PutTableSchema': ['administer', 'work'],

  '/reconciler.v1.Tenants/CreateTenant': ['platform'],
  '/reconciler.v1.Tenants/GetTenant': ['platform'],
  '/reconciler.v1.Tenants/ListTenants': ['platform'],
  '/reconciler.v1.Tenants/UpdateTenant': ['platform'],
  '/reconciler.v1.Tenants/DeleteTenant': ['platform'],

  '/reconciler.v1.Tokens/CreateToken': ['administer', 'platform'],
  '/reconciler.v1.Tokens/ListTokens': ['administer', 'platform'],
  '/reconciler.v1.Tokens/RevokeToken': ['administer', 'platform'],
  '/reconciler.v1.Tokens/GetCaller': ['identify'],

  '/reconciler.v1.Views/CreateView': ['administer'],
  '/reconciler.v1.Views/GetView': ['read'],
  '/reconciler.v1.Views/ListViews': ['read'],
  '/reconciler.v1.Views/UpdateView': ['administer'],
  '/reconciler.v1.Views/DeleteView': ['administer'],

  '/reconciler.internal.v1.Bindings/LookupBindings': ['work'],
  '/reconciler.internal.v1.Bindings/ReadBoundTable': ['work'],
  '/reconciler.internal.v1.Bindings/ListBindings': ['work'],
  '/reconciler.internal.v1.Bindings/CountBindings': ['work'],
  '/reconciler.internal.v1.Bindings/MarkMissing': ['work'],
  '/reconciler.internal.v1.Bindings/EnsureTable': ['work'],
  '/reconciler.internal.v1.Bindings/EnsureView': ['work'],

  '/reconciler.internal.v1.Ingestion/ExpireSnapshots': ['work'],
  '/reconciler.internal.v1.Ingestion/ListFilesToSketch': ['work'],
  '/reconciler.internal.v1.Ingestion/PutFileSketches': ['work'],
  '/reconciler.internal.v1.Ingestion/CompareSnapshots': ['work'],
  '/reconciler.internal.v1.Ingestion/CommitSnapshot': ['work'],
  '/reconciler.internal.v1.Ingestion/UpdateTable': ['work'],

  '/reconciler.internal.v1.Reconciliation/ClaimConnector': ['work'],
  '/reconciler.internal.v1.Reconciliation/EndJob': ['work'],
  '/reconciler.internal.v1.Reconciliation/RecordJob': ['work'],
  '/reconciler.internal.v1.Reconciliation/RecordJobChanges': ['work'],
  '/reconciler.internal.v1.Reconciliation/RecordJobOutcomes': ['work'],
  '/reconciler.internal.v1.Reconciliation/EnsureDestination': ['work'],
  '/reconciler.internal.v1.Reconciliation/DropMissing': ['work'],
  '/reconciler.internal.v1.Reconciliation/DropExpiredSnapshots': ['work'],
  '/reconciler.internal.v1.Reconciliation/BindDestination': ['work'],
  '/reconciler.internal.v1.Reconciliation/AcquireRequests': ['work'],
  '/reconciler.internal.v1.Reconciliation/GetConnectorDraft': ['work'],
};

/** What a call needs; undefined for an RPC that is not the catalog's own: health checks and reflection. */
export function permissionsFor(method: string): readonly Permission[] | undefined {
  return Object.hasOwn(PERMISSIONS, method) ? PERMISSIONS[method as Method] : undefined;
}
