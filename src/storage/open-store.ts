import { CodedError } from '../errors.ts';
import { FileStore } from './file-store.ts';
import { schemeOf } from './location.ts';
import type { ObjectStore } from './object-store.ts';
import { S3Store } from './s3/s3-store.ts';
import type { StoreOptions } from './store-options.ts';

/**
 * Returns a store that reads each path according to its scheme: plain paths and `file:` from the local file system, `s3:`, `s3a:` and `s3n:`
 * from S3. To support another scheme, add it here. The store has nothing to close.
 *
 * Errors besides those of `ObjectStore`: `UNIMPLEMENTED` for other schemes.
 */
export function openStore(options: StoreOptions): ObjectStore {
  const stores: Readonly<Record<string, ObjectStore>> = { file: new FileStore(options), s3: new S3Store(options) };
  const storeOf = (path: string): ObjectStore => {
    const scheme = schemeOf(path);
    const store = Object.hasOwn(stores, scheme) ? stores[scheme] : undefined;
    if (store !== undefined) return store;
    throw new CodedError(
      'UNIMPLEMENTED',
      `cannot read ${path}: the scheme ${scheme}: is not supported; use file:, s3:, s3a: or s3n:`,
    );
  };
  return {
    read: async (path, read) => storeOf(path).read(path, read),
    stat: async (path) => storeOf(path).stat(path),
    async *list(folder, options) {
      yield* storeOf(folder).list(folder, options);
    },
  };
}
