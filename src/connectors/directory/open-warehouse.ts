import { allowedLocations } from '../../storage/confined-store.ts';
import { isInObjectStore } from '../../storage/location.ts';
import { openStore } from '../../storage/open-store.ts';
import { newUsage } from '../../storage/usage.ts';
import { ConnectorSecrets } from '../connector-secrets.ts';
import type { ResolvedSpec, WorkerLimits } from '../connector-spec.ts';
import { DirectoryConnector } from './directory-connector.ts';

/** Whether the URI names a warehouse folder: a plain path, `file:`, or a path in an object store (`s3:`, `abfss:`, `gs:`, …). */
export function isWarehouseUri(uri: string): boolean {
  return /^file:/i.test(uri) || uri.startsWith('/') || isInObjectStore(uri);
}

/**
 * Opens the warehouse folder that the connector's URI names. Its tables may read their own folders and `storage.allowed-locations`.
 *
 * @param resolve reads the connector's secrets again
 * @throws CodedError as `DirectoryConnector.open` does
 */
export function openWarehouse(
  spec: ResolvedSpec,
  { localRoots, gate }: WorkerLimits,
  resolve?: () => Promise<ResolvedSpec>,
): Promise<DirectoryConnector> {
  const usage = newUsage({ gate });
  const options = new ConnectorSecrets(spec, resolve).storeOptions(({ properties }) => properties);
  const store = openStore({ ...options, usage, ...(localRoots !== undefined && { localRoots }) });
  return DirectoryConnector.open(store, spec.uri, { usage, allowed: allowedLocations(spec.properties) });
}
