import type { Kysely } from 'kysely';
import type { Logger } from 'pino';
import type { JobControl } from '../../contract/job-control.ts';
import type { DeleteConnectorRequest } from '../../generated/reconciler/v1/connectors.ts';
import type { JobFailure, ReconcileJob } from '../../generated/reconciler/v1/jobs.ts';
import type { RepairSchedulesResponse, Schedule } from '../../generated/reconciler/v1/schedules.ts';
import type { Database } from '../store/database/database.ts';
import type { Schema } from '../store/database/schema.ts';

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

export interface Deletions {
  /**
   * Deletes a connector, or goes on deleting it. Once this has been asked for, the connector is DELETING until it is gone.
   *
   * @throws CodedError NOT_FOUND, ABORTED for another etag, FAILED_PRECONDITION where a job does not end, UNAVAILABLE where Temporal cannot
   *   be reached
   */
  delete(request: Pick<DeleteConnectorRequest, 'connectorId' | 'etag' | 'deleteContents'>): Promise<Deleted>;
  /** Finishes in the background what was cut off when the catalog stopped. */
  resume(): void;
  stop(): void;
}

/** What went with a connector. */
export interface Deleted {
  tables: number;
  views: number;
}

/** Keeps the schedules in Temporal as the connectors' policies say. Its calls fail with UNAVAILABLE where Temporal cannot be reached. */
export interface ScheduleKeeper {
  /** The connector was made or changed: its schedule follows in the background, however long Temporal is away. */
  follow(connectorId: string): void;
  /** Brings a connector's schedule in line. */
  sync(connectorId: string): Promise<void>;
  /** How a connector's schedule stands; undefined where there is none and none is wanted. */
  look(connectorId: string): Promise<Schedule | undefined>;
  /** Brings all in line, those of connectors that are not there among them. */
  repair(): Promise<RepairSchedulesResponse>;
  stop(): void;
}

/** Told of every change of a job's record, after it was written, with the failures that came with it. */
export type ObserveJob = (
  before: ReconcileJob | undefined,
  after: ReconcileJob,
  failures?: readonly JobFailure[],
) => void;
