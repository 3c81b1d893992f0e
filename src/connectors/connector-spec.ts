/** What is stored of a connector, as far as opening its upstream needs it. Secrets stand in it by reference only. */
export interface ConnectorSpec {
  /** Its id, where its requests a second are capped. */
  cappedId?: string;
  kind: 'ICEBERG' | 'DELTA' | 'GLUE' | 'UNITY';
  uri: string;
  /** `s3.*`, `rest.*`, `glue.*`, `stats.*`, `header.<name>`, … */
  properties: Readonly<Record<string, string>>;
  auth: {
    /** Lower case; empty for the kind's default. */
    scheme: string;
    secretRef: string;
    /** Sent with every request to the catalog. */
    headerHints: Readonly<Record<string, string>>;
    properties: Readonly<Record<string, string>>;
  };
}

/** The same with its secrets resolved: it lives in a worker's memory only. */
export interface ResolvedSpec extends Omit<ConnectorSpec, 'auth'> {
  auth: Omit<ConnectorSpec['auth'], 'secretRef'> & { secret?: string };
}

/** What the worker allows, whatever a connector asks for. */
export interface WorkerLimits {
  /**
   * Folders of this machine below which connectors may read. Undefined: all that its user may read, for warehouse folders and for
   * catalogs that run on this machine themselves; nothing for other catalogs.
   */
  localRoots?: readonly string[];
  /** Waited for before each request over the network to catalog or storage. Files of this machine are not asked for over it. */
  gate?: () => Promise<void>;
}
