import { CodedError } from '../errors.ts';
import { FileStore } from './file-store.ts';
import { schemeOf } from './location.ts';
import type { ObjectStore } from './object-store.ts';
import { S3Store } from './s3/s3-store.ts';
import type { Usage } from './usage.ts';

export interface StoreOptions {
  /** FileIO properties as Iceberg names them (`s3.endpoint`, `client.region`, …), secrets resolved. */
  properties: Readonly<Record<string, string>>;
  /**
   * Properties that the catalog vends for a path (session credentials), asked for before each use; they win over `properties`. The
   * same object is to be given while it is good.
   */
  vended?: (path: string) => Promise<Readonly<Record<string, string>>>;
  /** Local folders that may be read; undefined: any; empty: none. */
  localRoots?: readonly string[];
  /** Counted: every attempt of a request, and the bytes that came. */
  usage: Usage;
}

/**
 * A store that reads each path by its scheme: plain paths and `file:` from the local file system, `s3:`, `s3a:` and `s3n:` from S3.
 * Another one is added here. It holds nothing that has to be closed.
 *
 * Besides what `ObjectStore` says: `UNIMPLEMENTED` for another scheme.
 */
export function openStore(options: StoreOptions): ObjectStore {
  const stores: Readonly<Record<string, ObjectStore>> = { file: new FileStore(options), s3: new S3Store(options) };
  const storeOf = (path: string): ObjectStore => {
    const scheme = schemeOf(path);
    const store = Object.hasOwn(stores, scheme) ? stores[scheme] : undefined;
    if (store !== undefined) return store;
    throw new CodedError(
      'UNIMPLEMENTED',
      `cannot read ${path}: of ${scheme}: nothing is read; file:, s3:, s3a: and s3n: are`,
    );
  };
  return {
    read: async (path, read) => storeOf(path).read(path, read),
    stat: async (path) => storeOf(path).stat(path),
    list: async (folder) => storeOf(folder).list(folder),
  };
}
