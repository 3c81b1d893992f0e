import type { Logger } from 'pino';
import type { CatalogClients } from '../clients/catalog.ts';
import type { JobControl } from '../clients/job-control.ts';
import type { openConnector } from '../connectors/registry.ts';

/** What activities work with. One set a worker. */
export interface ActivityDeps {
  catalog: CatalogClients;
  jobs: Pick<JobControl, 'describe'>;
  openConnector: typeof openConnector;
  /** Whether the cluster has this project's search attributes. */
  hasSearchAttributes(): Promise<boolean>;
  logger: Logger;
}
