import type { Logger } from 'pino';
import type { CatalogClients } from '../../catalog-client/connect.ts';
import type { ConnectorSpec } from '../../connectors/connector-spec.ts';
import type { UpstreamCatalog } from '../../connectors/spi.ts';
import type { JobControl } from '../../contract/job-control.ts';
import type { TemporalUi } from '../../contract/workflow-link.ts';
import type { SplitSize } from './split-size.ts';
import type { WorkerContext } from './worker-context.ts';

/** What activities work with. One set per worker. */
export interface ActivityDeps extends WorkerContext {
  catalog: CatalogClients;
  jobs: Pick<JobControl, 'describe'>;
  /** Opens an upstream with this worker's limits. Activities of the same job that use it at the same time share it. */
  openConnector(spec: ConnectorSpec, jobId: string): Promise<UpstreamCatalog>;
  /** Opens an upstream with this worker's limits and with the current secrets. */
  openUncached(spec: ConnectorSpec): Promise<UpstreamCatalog>;
  /** Whether the cluster has this project's search attributes. */
  hasSearchAttributes(): Promise<boolean>;
  /** For links into the Temporal UI, if it is known. */
  temporalUi?: TemporalUi;
  /** Replaces SPLIT. */
  splitSize?: SplitSize;
  logger: Logger;
}
