import { allowedLocations, confined } from '../../storage/confined-store.ts';
import { comparableLocation, isWithin } from '../../storage/location.ts';
import type { ObjectStore } from '../../storage/object-store.ts';
import { openStore } from '../../storage/open-store.ts';
import type { Usage } from '../../storage/usage.ts';
import type { LoadedTable, VendedForPrefix } from './loaded-table.ts';
import { VendedCredentials } from './vended-credentials.ts';

export interface TableStorage {
  /** Of the catalog's config. */
  defaults: Readonly<Record<string, string>>;
  overrides: Readonly<Record<string, string>>;
  /** Of the connector. */
  own: Readonly<Record<string, string>>;
  localRoots?: readonly string[];
  usage: Usage;
  /** Asks the catalog for credentials for the table. */
  loadCredentials: () => Promise<VendedForPrefix[]>;
  /** Whether it is to be asked though none came with the table. */
  fetchCredentials: boolean;
}

/**
 * The storage of one table, as far as the table may read it: its location, what credentials are vended for, and the locations that the
 * connector allows. Locations that the table's own properties name (`write.data.path`, …) are not among them: whoever may write to the table
 * sets them.
 *
 * Properties are those of Iceberg's Java and Python clients: the catalog's defaults, the connector's, the catalog's overrides, the table's
 * config, each winning over the one before, and vended credentials over all for the paths that they are for. Two things differ. Which of the worker's own identities is
 * used (profiles, roles to take on) only the connector says. And so it does with `s3.remote-signing-enabled`.
 */
export function tableStorage(table: LoadedTable, storage: TableStorage): ObjectStore {
  const { own, localRoots, usage, loadCredentials, fetchCredentials } = storage;
  const [config, inConfig] = splitVendedKeys(table.config);
  const vended = table.credentials.length > 0 ? table.credentials : inConfig;
  const some = vended.length > 0;
  const properties = {
    ...fromCatalog(storage.defaults),
    ...own,
    ...fromCatalog(storage.overrides),
    ...fromCatalog(config),
  };
  if (own['s3.remote-signing-enabled']) properties['s3.remote-signing-enabled'] = own['s3.remote-signing-enabled'];
  const credentials =
    some || fetchCredentials ? new VendedCredentials(some ? vended : undefined, loadCredentials) : undefined;
  const store = openStore({
    properties,
    ...(credentials && { vended: (path: string) => credentials.propertiesFor(path) }),
    localRoots,
    usage,
  });
  const prefixes = table.credentials.map(({ prefix }) => prefix).filter(isFolder);
  return confined(store, [...tableFolder(table.location), ...prefixes, ...allowedLocations(own)]);
}

/** A table that claims the whole of a machine's files has none of them. */
function tableFolder(location: string): string[] {
  return isWithin('file:', comparableLocation(location)) ? [] : [location];
}

/** Credentials that a table's config holds, apart from the rest: before `storage-credentials` catalogs vended them so. */
export function splitVendedKeys(config: Readonly<Record<string, string>>): [Record<string, string>, VendedForPrefix[]] {
  const rest: Record<string, string> = {};
  const credentials: Record<string, string> = {};
  for (const [key, value] of Object.entries(config)) {
    (/^s3\.(access-key-id|secret-access-key|session-token(-expires-at-ms)?)$/.test(key) ? credentials : rest)[key] =
      value;
  }
  return [rest, credentials['s3.access-key-id'] ? [{ prefix: '', config: credentials }] : []];
}

/** Without what names an identity of the worker's. */
function fromCatalog(properties: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(properties).filter(
      ([key]) => !/(^client\.assume-role\.|\.(profile-name|role-arn)$|^storage\.)/.test(key),
    ),
  );
}

/** Some catalogs vend for a scheme (`s3`): that says nothing of locations. */
function isFolder(prefix: string): boolean {
  return /^[a-z][a-z0-9+.-]*:\/\/[^/]+/i.test(prefix);
}
