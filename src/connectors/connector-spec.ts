/** The part of a stored connector that is needed to open its upstream. It contains references to secrets, never secrets. */
export interface ConnectorSpec {
  /** The connector's id; present only if its requests per second are limited. */
  cappedId?: string;
  kind: 'ICEBERG' | 'DELTA' | 'GLUE' | 'UNITY';
  uri: string;
  /** `s3.*`, `rest.*`, `glue.*`, `stats.*`, `header.<name>`, … */
  properties: Readonly<Record<string, string>>;
  auth: {
    /** In lower case; empty for the kind's default. */
    scheme: string;
    secretRef: string;
    /** Sent with every request to the catalog. */
    headerHints: Readonly<Record<string, string>>;
    properties: Readonly<Record<string, string>>;
  };
}

/** A connector with its secrets resolved. It exists only in a worker's memory. */
export interface ResolvedSpec extends Omit<ConnectorSpec, 'auth'> {
  auth: Omit<ConnectorSpec['auth'], 'secretRef'> & { secret?: string };
}

/** What a worker gives its connectors, and no connector can change. */
export interface WorkerLimits {
  /**
   * Folders of this machine below which connectors may read. If undefined, warehouse folders and catalogs on this machine may read all
   * files that the worker's user may read, and other catalogs may read none. A worker whose catalog service is on another machine sets it.
   */
  localRoots?: readonly string[];
  /** Awaited before each network request to the catalog or storage; not before reads of local files. */
  gate?: () => Promise<void>;
  /** Writes a warning to the worker's log. */
  warn?: (message: string) => void;
}
