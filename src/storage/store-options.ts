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
