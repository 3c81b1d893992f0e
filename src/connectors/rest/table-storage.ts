import { hasIdentity, hasKeys, overlaid } from '../../storage/cloud/identity.ts';
import { allowedLocations, confineStore } from '../../storage/confined-store.ts';
import { comparableLocation, isWithin } from '../../storage/location.ts';
import type { ObjectStore } from '../../storage/object-store.ts';
import { openStore } from '../../storage/open-store.ts';
import type { Usage } from '../../storage/usage.ts';
import type { ConnectorSecrets } from '../connector-secrets.ts';
import type { ResolvedSpec } from '../connector-spec.ts';
import { connectorProperties } from './auth/auth-scheme.ts';
import type { TableAccess, VendedCredential } from './loaded-table.ts';
import { VendedCredentials } from './vended-credentials.ts';
import { checkVendedEndpoints } from './vended-endpoints.ts';

export interface TableStorage {
  /** Defaults and overrides of the catalog's config. */
  defaults: Readonly<Record<string, string>>;
  overrides: Readonly<Record<string, string>>;
  /** The connector, for its own properties. */
  secrets: ConnectorSecrets;
  localRoots?: readonly string[];
  usage: Usage;
  /** Requests credentials for the table from the catalog. */
  loadCredentials: () => Promise<VendedCredential[]>;
  /** Whether to call `loadCredentials` if loadTable returned no credentials. */
  fetchCredentials: boolean;
}

/**
 * The storage that a table may read: its location, the prefixes of its vended credentials, and the locations that the connector allows.
 * Locations in the table's own properties (`write.data.path`, …) are not included, because everyone who may write to the table can set them.
 *
 * Properties have the precedence of Iceberg's Java and Python clients, from low to high: the catalog's defaults, the connector's properties,
 * the catalog's overrides, the table's config, and vended credentials for the paths of their prefix. Keys on one level replace the whole identity of
 * the lower ones. There are two differences: only the connector chooses the worker's identity (profiles, assumed roles), and only the connector sets
 * `s3.remote-signing-enabled`.
 *
 * @throws PolicyError as `checkVendedEndpoints`
 */
export function tableStorage(
  table: Pick<TableAccess, 'location' | 'config' | 'credentials'>,
  storage: TableStorage,
): ObjectStore {
  const { secrets, localRoots, usage, loadCredentials, fetchCredentials } = storage;
  const [config, keysInConfig] = splitVendedKeys(table.config);
  // The keys in the config serve the paths that no prefix of the others covers.
  const vended = withoutIdentities([...table.credentials, ...keysInConfig]);
  const hasVended = vended.length > 0;
  const propertiesOf = (spec: ResolvedSpec): Record<string, string> => {
    const own = connectorProperties(spec);
    const properties = [own, fromCatalog(storage.overrides), fromCatalog(config)].reduce<Record<string, string>>(
      overlaid,
      fromCatalog(storage.defaults),
    );
    if (own['s3.remote-signing-enabled']) properties['s3.remote-signing-enabled'] = own['s3.remote-signing-enabled'];
    return properties;
  };
  const own = connectorProperties(secrets.current);
  if (hasVended || fetchCredentials) checkVendedEndpoints(secrets.current, own);
  const options = secrets.storeOptions(propertiesOf);
  const credentials =
    hasVended || fetchCredentials
      ? new VendedCredentials(
          hasVended ? vended : undefined,
          async () => withoutIdentities(await loadCredentials()),
          (path) => hasIdentity(options.properties, path),
        )
      : undefined;
  const store = openStore({
    ...options,
    ...(credentials && { vended: (path, refused) => credentials.propertiesFor(path, refused) }),
    own,
    localRoots,
    usage,
  });
  const prefixes = table.credentials.map(({ prefix }) => prefix).filter(isFolder);
  return confineStore(store, [...tableFolder(table.location), ...prefixes, ...allowedLocations(own)]);
}

/** The table's location, unless it is the root of the local file system. */
function tableFolder(location: string): string[] {
  return isWithin('file:', comparableLocation(location)) ? [] : [location];
}

const VENDED_KEY =
  /^(s3\.(access-key-id|secret-access-key|session-token(-expires-at-ms)?)|adls\.sas-token(-expires-at-ms)?(\..+)?|gcs\.oauth2\.token(-expires-at)?)$/;

/** Splits a table's config into other properties and vended keys. Catalogs vend keys this way if they predate `storage-credentials`. */
export function splitVendedKeys(
  config: Readonly<Record<string, string>>,
): [Record<string, string>, VendedCredential[]] {
  const rest: Record<string, string> = {};
  const credentials: Record<string, string> = {};
  for (const [key, value] of Object.entries(config)) {
    (VENDED_KEY.test(key) ? credentials : rest)[key] = value;
  }
  const hasAny = ['s3://', 'abfss://', 'gs://'].some((path) => hasKeys(credentials, path));
  return [rest, hasAny ? [{ prefix: '', config: credentials }] : []];
}

/**
 * A catalog's properties without those that choose an identity of the worker, and without addresses other than that of the storage
 * (`client.sts.endpoint`, `rest.client.proxy.*`), because requests to them are signed with the worker's own credentials or contain those of others.
 */
function fromCatalog(properties: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(properties).filter(
      ([key]) =>
        !/^client\.(assume-role|sts)\.|\.(profile-name|role-arn)$|^(storage|rest)\.|^gcp\.impersonate\.|^gcs\.credentials$|^adls\.(tenant|client)-/.test(
          key,
        ),
    ),
  );
}

function withoutIdentities(credentials: readonly VendedCredential[]): VendedCredential[] {
  return credentials.map(({ prefix, config }) => ({ prefix, config: fromCatalog(config) }));
}

/** Whether a prefix is a location. Some catalogs vend credentials for a whole scheme (`s3`). */
function isFolder(prefix: string): boolean {
  return /^[a-z][a-z0-9+.-]*:\/\/[^/]+/i.test(prefix);
}
