import type { Usage } from './usage.ts';

export interface StoreOptions {
  /** Iceberg's FileIO properties (`s3.endpoint`, `client.region`, …), with secrets resolved. */
  properties: Readonly<Record<string, string>>;
  /**
   * Returns the properties that the catalog vends for a path (session credentials); called before each use. They override `properties`. It
   * must return the same object while the credentials are valid.
   */
  vended?: (path: string) => Promise<Readonly<Record<string, string>>>;
  /** Local folders that may be read; undefined allows all, an empty array none. */
  localRoots?: readonly string[];
  /** Counts every attempt of a request, and the bytes received. */
  usage: Usage;
}
