import { access } from 'node:fs/promises';
import { CodedError } from '../../errors.ts';
import { hasIdentity } from '../../storage/cloud/identity.ts';
import { localPathCandidates } from '../../storage/file-uri.ts';
import { schemeOf } from '../../storage/location.ts';
import type { ObjectStore } from '../../storage/object-store.ts';
import type { Usage } from '../../storage/usage.ts';
import type { ConnectorSecrets } from '../connector-secrets.ts';
import { connectorProperties } from '../rest/auth/auth-scheme.ts';
import { tableStorage } from '../rest/table-storage.ts';
import type { DeltaEndpoints } from './delta-endpoints.ts';
import { temporaryCredentials } from './table-credentials.ts';
import type { UnityApi, UnityName } from './unity-api.ts';

export interface UnityStorage {
  api: UnityApi;
  endpoints: DeltaEndpoints;
  secrets: ConnectorSecrets;
  usage: Usage;
  localRoots?: readonly string[];
  /** Whether temporary credentials are requested; otherwise the connector's own or the worker's are used. */
  vends: boolean;
}

/**
 * The storage that a table may read: its location, and the connector's `storage.allowed-locations`. Temporary credentials are requested when the first
 * file is read, and renewed before they expire. If the catalog refuses them, the connector's own keys, profile or role serve, if it has any.
 */
export function unityStorage(
  { api, endpoints, secrets, usage, localRoots, vends }: UnityStorage,
  name: UnityName,
  table: { id: string; location: string },
): ObjectStore {
  const isLocal = schemeOf(table.location) === 'file';
  const loadCredentials = () =>
    temporaryCredentials(api, endpoints, name, table).catch((error) => {
      const isRefused = error instanceof CodedError && error.code === 'PERMISSION_DENIED';
      if (isRefused && hasIdentity(connectorProperties(secrets.current), table.location)) return [];
      throw error;
    });
  return tableStorage(
    { location: table.location, config: {}, credentials: [] },
    { defaults: {}, overrides: {}, secrets, localRoots, usage, loadCredentials, fetchCredentials: vends && !isLocal },
  );
}

/** A table's location without a slash at its end. Servers percent-encode those on a file system, but paths are not encoded. */
export async function existingLocation(location: string): Promise<string> {
  const plain = location.replace(/(?<=[^/:])\/+$/, '');
  if (schemeOf(plain) !== 'file') return plain;
  for (const [index, path] of localPathCandidates(plain).entries()) {
    const exists = await access(path).then(
      () => true,
      () => false,
    );
    if (exists) return index === 0 ? plain : path;
  }
  return plain;
}
