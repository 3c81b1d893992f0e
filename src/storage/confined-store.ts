import { realpath } from 'node:fs/promises';
import { CodedError } from '../errors.ts';
import { localPath } from './file-uri.ts';
import { comparableLocation, isWithin, schemeOf } from './location.ts';
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
 * a worker read them with the worker's or the connector's rights. Nor can a symbolic link in a table's folder: a local file must also lie
 * below them where links lead, those of the allowed locations followed as well.
 *
 * `PERMISSION_DENIED` names the path and what is allowed.
 */
export function confineStore(store: ObjectStore, allowed: readonly string[]): ObjectStore {
  const folders = allowed.map(comparableLocation);
  let realFolders: Promise<string[]> | undefined;
  // A promise rejected, not an exception thrown, as the interface has it.
  const checked = async (path: string): Promise<string> => {
    const location = comparableLocation(path);
    if (!folders.some((folder) => isWithin(location, folder))) throw denied(path);
    if (schemeOf(path) !== 'file') return path;
    const real = await realPath(path);
    // It is not there, or may not be looked at: the store says so.
    if (real === undefined) return path;
    realFolders ??= Promise.all(
      allowed
        .filter((folder) => schemeOf(folder) === 'file')
        .map(async (folder) => comparableLocation((await realPath(folder)) ?? folder)),
    );
    const realLocation = comparableLocation(real);
    if ((await realFolders).some((folder) => isWithin(realLocation, folder))) return real;
    throw denied(`${path}, a link to ${real},`);
  };
  const denied = (what: string): CodedError =>
    new CodedError(
      'PERMISSION_DENIED',
      `${what} lies outside of what this table may read (${allowed.length === 0 ? 'nothing' : allowed.join(', ')}). ` +
        `If it is the table's, add its folder to the connector's property ${ALLOWED_LOCATIONS}.`,
    );
  return {
    read: async (path, options) => store.read(await checked(path), options),
    stat: async (path) => store.stat(await checked(path)),
    list: async (folder) => store.list(await checked(folder)),
  };
}

/** Where the path leads; undefined where that cannot be told. */
function realPath(path: string): Promise<string | undefined> {
  return realpath(localPath(path)).catch(() => undefined);
}
