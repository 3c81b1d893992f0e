import { allowedLocations } from '../../storage/confined-store.ts';
import { isInObjectStore } from '../../storage/location.ts';
import { openStore } from '../../storage/open-store.ts';
import { newUsage } from '../../storage/usage.ts';
import { ConnectorSecrets } from '../connector-secrets.ts';
import type { ResolvedSpec, WorkerLimits } from '../connector-spec.ts';
import type { UpstreamCatalog } from '../spi.ts';
import { openDirectory } from './open-directory.ts';

/** Whether the URI names a warehouse folder: a plain path, `file:`, or a path in an object store (`s3:`, `abfss:`, `gs:`, …). */
export function isWarehouseUri(uri: string): boolean {
  return /^file:/i.test(uri) || uri.startsWith('/') || isInObjectStore(uri);
}

/**
 * Opens the tables of one format in the warehouse folder that the connector's URI names; for Delta, the URI may also be a table itself. Tables
 * may read their own folders and `storage.allowed-locations`.
 *
 * @param resolve reads the connector's secrets again
 * @throws CodedError as `openDirectory` does
 */
export function openWarehouse(
  spec: ResolvedSpec,
  { localRoots, gate }: WorkerLimits,
  resolve?: () => Promise<ResolvedSpec>,
): Promise<UpstreamCatalog> {
  const usage = newUsage({ gate });
  const options = new ConnectorSecrets(spec, resolve).storeOptions(({ properties }) => properties);
  const store = openStore({ ...options, usage, ...(localRoots !== undefined && { localRoots }) });
  const format = spec.kind === 'DELTA' ? 'DELTA' : 'ICEBERG';
  return openDirectory(store, spec.uri, { format, usage, allowed: allowedLocations(spec.properties) });
}
