import { isIP } from 'node:net';
import { type Channel, createChannel, createClientFactory } from 'nice-grpc';
import { errorDetailsClientMiddleware } from 'nice-grpc-error-details';
import { HealthDefinition } from 'nice-grpc-server-health';
import { hostPortOf, isTlsAddress } from '../config.ts';
import { BindingsDefinition } from '../generated/reconciler/internal/v1/bindings.ts';
import { IngestionDefinition } from '../generated/reconciler/internal/v1/ingestion.ts';
import { ReconciliationDefinition } from '../generated/reconciler/internal/v1/reconciliation.ts';
import { AuditDefinition } from '../generated/reconciler/v1/audit.ts';
import { CatalogsDefinition } from '../generated/reconciler/v1/catalogs.ts';
import { ConnectorsDefinition } from '../generated/reconciler/v1/connectors.ts';
import { DirectoryDefinition } from '../generated/reconciler/v1/directory.ts';
import { ReconcileJobsDefinition } from '../generated/reconciler/v1/jobs.ts';
import { NamespacesDefinition } from '../generated/reconciler/v1/namespaces.ts';
import { PlansDefinition } from '../generated/reconciler/v1/plans.ts';
import { SchedulesDefinition } from '../generated/reconciler/v1/schedules.ts';
import { SnapshotsDefinition } from '../generated/reconciler/v1/snapshots.ts';
import { TableStatisticsDefinition } from '../generated/reconciler/v1/statistics.ts';
import { TablesDefinition } from '../generated/reconciler/v1/tables.ts';
import { TenantsDefinition } from '../generated/reconciler/v1/tenants.ts';
import { TokensDefinition } from '../generated/reconciler/v1/tokens.ts';
import { ViewsDefinition } from '../generated/reconciler/v1/views.ts';
import { currentTracing } from '../telemetry/tracing/tracing.ts';
import type { CatalogAccess } from './access.ts';
import { attachToken } from './attach-token.ts';
import { attachClaim } from './claim.ts';
import { RawCommitSnapshotDefinition } from './raw-commit-snapshot.ts';
import { attachTenant } from './tenant.ts';
import { channelCredentials } from './tls.ts';
import { traceCalls } from './trace-calls.ts';

/**
 * Typed clients of all services of the catalog, over one channel, which connects at the first call (the seed's GrpcClients).
 *
 * @param address of the catalog service: host:port, or https://host:port for TLS
 */
export function connectCatalog(address: string, access: CatalogAccess = {}) {
  const isTls = isTlsAddress(address) || access.tls !== undefined;
  // gRPC names the host as TLS server name, also if it is an IP address, about which Node warns. People can do nothing about it.
  if (isTls && isIP(hostOf(address)) !== 0) process.noDeprecation = true;
  const channel: Channel = createChannel(hostPortOf(address), channelCredentials(access, isTls), {
    // Pages end at 4 MiB of stored data, unless a single row has more. Rows came in messages of at most 8 MiB, to which the catalog adds
    // texts of bounds and the columns of a schema.
    'grpc.max_receive_message_length': 64 * 1024 * 1024,
    // A catalog whose machine has gone does not close its connections: calls end with UNAVAILABLE after the sum of both.
    'grpc.keepalive_time_ms': 30_000,
    'grpc.keepalive_timeout_ms': 20_000,
    'grpc.max_reconnect_backoff_ms': 2_000,
    'grpc.initial_reconnect_backoff_ms': 200,
    // The catalog is in the same private network. `http_proxy` and `https_proxy`, which are for upstreams, would lead away from it.
    'grpc.enable_http_proxy': 0,
  });
  const plain = createClientFactory()
    .use(errorDetailsClientMiddleware)
    .use(attachToken(access, address, isTls))
    .use(attachTenant(access.tenant))
    .use(attachClaim);
  const factory = currentTracing() === undefined ? plain : plain.use(traceCalls);
  return {
    audit: factory.create(AuditDefinition, channel),
    bindings: factory.create(BindingsDefinition, channel),
    catalogs: factory.create(CatalogsDefinition, channel),
    connectors: factory.create(ConnectorsDefinition, channel),
    directory: factory.create(DirectoryDefinition, channel),
    health: factory.create(HealthDefinition, channel),
    ingestion: factory.create(IngestionDefinition, channel),
    jobs: factory.create(ReconcileJobsDefinition, channel),
    namespaces: factory.create(NamespacesDefinition, channel),
    /** Ingestion.CommitSnapshot with requests that are already serialized; see `FileChangeEncoder`. */
    fileChanges: factory.create(RawCommitSnapshotDefinition, channel),
    plans: factory.create(PlansDefinition, channel),
    reconciliation: factory.create(ReconciliationDefinition, channel),
    schedules: factory.create(SchedulesDefinition, channel),
    snapshots: factory.create(SnapshotsDefinition, channel),
    statistics: factory.create(TableStatisticsDefinition, channel),
    tables: factory.create(TablesDefinition, channel),
    tenants: factory.create(TenantsDefinition, channel),
    tokens: factory.create(TokensDefinition, channel),
    views: factory.create(ViewsDefinition, channel),
    close: () => channel.close(),
  };
}

const hostOf = (address: string) => new URL(`https://${hostPortOf(address)}`).hostname.replace(/[[\]]/g, '');

export type CatalogClients = ReturnType<typeof connectCatalog>;
