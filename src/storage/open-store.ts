import { CodedError } from '../errors.ts';
import { FileStore } from './file-store.ts';
import { schemeOf } from './location.ts';
import type { ObjectStore } from './object-store.ts';
import { S3Store } from './s3/s3-store.ts';
import type { StoreOptions } from './store-options.ts';

/** Stores whose code is loaded when they are first used, by their schemes. */
const LOADED: Readonly<Record<string, (options: StoreOptions) => Promise<ObjectStore>>> = {
  abfss: async (options) => {
    const [{ CloudStore }, { AZURE }] = await Promise.all([
      import('./cloud/cloud-store.ts'),
      import('./azure/azure-service.ts'),
    ]);
    return new CloudStore(AZURE, options);
  },
  gs: async (options) => {
    const [{ CloudStore }, { GCS }] = await Promise.all([
      import('./cloud/cloud-store.ts'),
      import('./gcs/gcs-service.ts'),
    ]);
    return new CloudStore(GCS, options);
  },
};

/**
 * Returns a store that reads each path according to its scheme: plain paths and `file:` from the local file system, `s3:`, `s3a:` and `s3n:`
 * from S3, `abfss:`, `abfs:`, `wasbs:` and `wasb:` from Azure, `gs:` from Google. To support another scheme, add it here. The store has nothing to
 * close.
 *
 * Errors besides those of `ObjectStore`: `UNIMPLEMENTED` for other schemes.
 */
export function openStore(options: StoreOptions): ObjectStore {
  const stores = new Map<string, ObjectStore | Promise<ObjectStore>>([
    ['file', new FileStore(options)],
    ['s3', new S3Store(options)],
  ]);
  const storeOf = (path: string): ObjectStore | Promise<ObjectStore> => {
    const scheme = schemeOf(path);
    const load = Object.hasOwn(LOADED, scheme) ? LOADED[scheme] : undefined;
    const store = stores.get(scheme) ?? load?.(options);
    if (store === undefined) {
      throw new CodedError(
        'UNIMPLEMENTED',
        `cannot read ${path}: the scheme ${scheme}: is not supported; use file:, s3:, s3a:, s3n:, abfss:, abfs:, wasbs:, wasb: or gs:`,
      );
    }
    stores.set(scheme, store);
    return store;
  };
  return {
    read: async (path, read) => (await storeOf(path)).read(path, read),
    stat: async (path) => (await storeOf(path)).stat(path),
    async *list(folder, options) {
      yield* (await storeOf(folder)).list(folder, options);
    },
  };
}
