import type { Usage } from './usage.ts';

type Properties = Readonly<Record<string, string>>;

export interface StoreOptions {
  /** Iceberg's FileIO properties (`s3.endpoint`, `client.region`, …), with secrets resolved. */
  properties: Properties;
  /**
   * Reads the secrets among the properties again, after a store refused them. Returns the properties with the new ones, and the same object if
   * nothing has changed.
   */
  reread?: (refused: Properties) => Promise<Properties>;
  /**
   * Returns the properties that the catalog vends for a path (session credentials), if it vends any; called before each use. They override
   * `properties`. It must return the same object while the credentials are valid.
   *
   * @param refused properties that it returned before, and that the store refused: they are requested again
   */
  vended?: (path: string, refused?: Properties) => Promise<Properties | undefined>;
  /**
   * Present if a catalog named some of the properties: the connector's own properties. The worker's own credentials are not used at an endpoint that
   * only a catalog named.
   */
  own?: Properties;
  /** Local folders that may be read; undefined allows all, an empty array none. */
  localRoots?: readonly string[];
  /** Counts every attempt of a request, and the bytes received. */
  usage: Usage;
}
