import { CodedError } from '../errors.ts';
import { comparableLocation, isWithin } from './location.ts';
import type { ObjectStore } from './object-store.ts';

/** Locations that a connector's tables may lie in besides their own; separated by commas. */
export const ALLOWED_LOCATIONS = 'storage.allowed-locations';

/** The locations of the connector's property `storage.allowed-locations`. */
export function allowedLocations(properties: Readonly<Record<string, string>>): string[] {
  return (properties[ALLOWED_LOCATIONS] ?? '')
    .split(',')
    .map((location) => location.trim())
    .filter((location) => location !== '');
}

/**
 * The store, of which only what is at or below the allowed locations can be read. So a table whose metadata names other files cannot make
 * a worker read them with the worker's or the connector's rights.
 *
 * `PERMISSION_DENIED` names the path and what is allowed.
 */
export function confined(store: ObjectStore, allowed: readonly string[]): ObjectStore {
  const folders = allowed.map(comparableLocation);
  // A promise rejected, not an exception thrown, as the interface has it.
  const checked = async (path: string): Promise<string> => {
    const location = comparableLocation(path);
    if (folders.some((folder) => isWithin(location, folder))) return path;
    throw new CodedError(
      'PERMISSION_DENIED',
      `${path} lies outside of what this table may read (${allowed.length === 0 ? 'nothing' : allowed.join(', ')}). ` +
        `If it is the table's, add its folder to the connector's property ${ALLOWED_LOCATIONS}.`,
    );
  };
  return {
    read: async (path, options) => store.read(await checked(path), options),
    stat: async (path) => store.stat(await checked(path)),
    list: async (folder) => store.list(await checked(folder)),
  };
}
