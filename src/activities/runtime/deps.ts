import type { Logger } from 'pino';
import type { CatalogClients } from '../../catalog-client/connect.ts';
import type { ConnectorSpec } from '../../connectors/connector-spec.ts';
import type { UpstreamCatalog } from '../../connectors/spi.ts';
import type { JobControl } from '../../contract/job-control.ts';
import type { SplitSize } from './split-size.ts';

/** What activities work with. One set a worker. */
export interface ActivityDeps {
  catalog: CatalogClients;
  jobs: Pick<JobControl, 'describe'>;
  /** With this worker's limits; shared by the activities that use it. */
  openConnector(spec: ConnectorSpec): Promise<UpstreamCatalog>;
  /** With this worker's limits, and with its secrets as they are now. */
  openUncached(spec: ConnectorSpec): Promise<UpstreamCatalog>;
  /** Whether the cluster has this project's search attributes. */
  hasSearchAttributes(): Promise<boolean>;
  /** Base of links into the Temporal UI, where it is known. */
  temporalUi?: string;
  /** Other bounds for splitting snapshots than SPLIT's. */
  splitSize?: SplitSize;
  logger: Logger;
}
