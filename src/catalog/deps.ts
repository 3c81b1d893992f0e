import type { Kysely } from 'kysely';
import type { Logger } from 'pino';
import type { JobControl } from '../clients/job-control.ts';
import type { Deletions } from './delete-connector.ts';
import type { ObserveJob } from './observe-jobs.ts';
import type { ScheduleKeeper } from './schedule-keeper.ts';
import type { Database } from './store/database.ts';
import type { Schema } from './store/schema.ts';

/** What the services work with. */
export interface ServiceDeps {
  readonly db: Kysely<Schema>;
  readonly database: Database;
  readonly logger: Logger;
  /** @throws CodedError UNAVAILABLE where Temporal cannot be reached. */
  readonly jobs: () => Promise<JobControl>;
  readonly schedules: ScheduleKeeper;
  readonly deletions: Deletions;
  /** Contents of a table wait to be removed. */
  readonly purge: () => void;
  readonly observeJob: ObserveJob;
}
