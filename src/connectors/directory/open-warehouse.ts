import { allowedLocations } from '../../storage/confined-store.ts';
import { schemeOf } from '../../storage/location.ts';
import { openStore } from '../../storage/open-store.ts';
import { newUsage } from '../../storage/usage.ts';
import type { ResolvedSpec, WorkerLimits } from '../connector-spec.ts';
import { DirectoryConnector } from './directory-connector.ts';

/** Whether the URI names a warehouse folder: a plain path, `file:`, `s3:`, `s3a:` or `s3n:`. */
export function isWarehouseUri(uri: string): boolean {
  return /^file:/i.test(uri) || uri.startsWith('/') || schemeOf(uri) === 's3';
}

/**
 * Opens the warehouse folder that the connector's URI names. Its tables may read their own folders and `storage.allowed-locations`.
 *
 * @throws CodedError as `DirectoryConnector.open` does
 */
export function openWarehouse(
  { uri, properties }: ResolvedSpec,
  { localRoots, gate }: WorkerLimits,
): Promise<DirectoryConnector> {
  const usage = newUsage({ gate });
  const store = openStore({ properties, usage, ...(localRoots !== undefined && { localRoots }) });
  return DirectoryConnector.open(store, uri, { usage, allowed: allowedLocations(properties) });
}
