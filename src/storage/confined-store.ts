import { realpath } from 'node:fs/promises';
import { CodedError } from '../errors.ts';
import { localPath } from './file-uri.ts';
import { comparableLocation, isWithin, schemeOf } from './location.ts';
import type { ObjectStore } from './object-store.ts';

/** Connector property: locations besides a table's own folder that its files may be in, separated by commas. */
export const ALLOWED_LOCATIONS = 'storage.allowed-locations';

/** The locations of the connector's property `storage.allowed-locations`. */
export function allowedLocations(properties: Readonly<Record<string, string>>): string[] {
  return (properties[ALLOWED_LOCATIONS] ?? '')
    .split(',')
    .map((location) => location.trim())
    .filter((location) => location !== '');
}

/**
 * Returns a view of the store in which only paths at or below the allowed locations can be read. So a table whose metadata names other files
 * cannot make a worker read them with the worker's or the connector's permissions. Neither can a symbolic link in a table's folder: after
 * following links, a local file must still be below an allowed location (whose links are followed too).
 *
 * Other paths cause `PERMISSION_DENIED`, with the path and the allowed locations.
 */
export function confineStore(store: ObjectStore, allowed: readonly string[]): ObjectStore {
  const folders = allowed.map(comparableLocation);
  let realFolders: Promise<string[]> | undefined;
  // Async, so that errors reject the promise as the interface requires.
  const checked = async (path: string): Promise<string> => {
    const location = comparableLocation(path);
    if (!folders.some((folder) => isWithin(location, folder))) throw denied(path);
    if (schemeOf(path) !== 'file') return path;
    const real = await realPath(path);
    // The file is missing or inaccessible; the store reports that.
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
      `${what} is outside the locations that this table may read (${allowed.length === 0 ? 'none' : allowed.join(', ')}). ` +
        `If the file belongs to the table, add its folder to the connector's property ${ALLOWED_LOCATIONS}.`,
    );
  return {
    read: async (path, options) => store.read(await checked(path), options),
    stat: async (path) => store.stat(await checked(path)),
    async *list(folder, options) {
      yield* store.list(await checked(folder), options);
    },
  };
}

/** The path after following links; undefined if it cannot be resolved. */
function realPath(path: string): Promise<string | undefined> {
  return realpath(localPath(path)).catch(() => undefined);
}
