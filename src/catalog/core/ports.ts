import type { Logger } from 'pino';
import type { JobControl } from '../../contract/job-control.ts';
import type { CodedError } from '../../errors.ts';
import type { DeleteConnectorRequest } from '../../generated/reconciler/v1/connectors.ts';
import type { JobFailure, ReconcileJob } from '../../generated/reconciler/v1/jobs.ts';
import type { RepairSchedulesResponse, Schedule } from '../../generated/reconciler/v1/schedules.ts';
import type { Clock } from '../store/clock/clock.ts';
import type { Database, TenantDatabase } from '../store/database/database.ts';
import { type AllTenants, type Scoped, scopedTo } from '../store/database/scoped.ts';
import type { Counted } from '../store/tenants/usage.ts';

/** What the catalog's own work needs: that of all tenants. */
export interface CatalogDeps {
  readonly db: AllTenants;
  readonly database: Database;
  readonly logger: Logger;
  readonly clock: Clock;
  /** Temporal, in the namespace of the tenant. @throws CodedError UNAVAILABLE if Temporal cannot be reached */
  readonly jobsOf: (tenant: string) => Promise<JobControl>;
  readonly schedules: ScheduleKeeper;
  readonly deletions: Deletions;
  readonly purge: () => void;
  readonly limits: TenantLimits;
  readonly observeJobOf: (tenant: string) => ObserveJob;
}

/** The parts of them that concern the jobs of a tenant. */
export type JobDeps = Pick<ServiceDeps, 'db' | 'jobs' | 'logger' | 'observeJob'>;

/** What work on the jobs of a tenant needs. */
export function jobDepsOf(
  { db, jobsOf, logger, observeJobOf }: Pick<CatalogDeps, 'db' | 'jobsOf' | 'logger' | 'observeJobOf'>,
  tenant: string,
): JobDeps {
  return { db: scopedTo(db, tenant), jobs: () => jobsOf(tenant), logger, observeJob: observeJobOf(tenant) };
}

/** The dependencies of the services of a tenant. */
export interface ServiceDeps {
  readonly db: Scoped;
  readonly database: TenantDatabase;
  readonly logger: Logger;
  /** For timestamps of what is removed after a time. */
  readonly clock: Clock;
  /** Temporal, in the namespace of the tenant. @throws CodedError UNAVAILABLE if Temporal cannot be reached */
  readonly jobs: () => Promise<JobControl>;
  readonly schedules: TenantSchedules;
  readonly deletions: TenantDeletions;
  /** Starts the removal of deleted contents in the background. */
  readonly purge: () => void;
  readonly observeJob: ObserveJob;
  readonly limits: TenantLimits;
}

/** Keeps tenants within their limits; see tenants.proto. */
export interface TenantLimits {
  /** @throws CodedError RESOURCE_EXHAUSTED if the tenant has made as many requests in this second as it may */
  admit(tenant: string): Promise<void>;
  /** @returns what ends the stream @throws CodedError RESOURCE_EXHAUSTED if the tenant has as many open as it may */
  openStream(tenant: string): Promise<() => void>;
  /**
   * What to refuse an addition with if the tenant of the call in progress had as many as it may when they were last counted, at most ten seconds
   * ago; undefined if it had fewer. Call it before the transaction that adds: it reads with the connection that a transaction holds.
   */
  excess(counted: Counted): Promise<CodedError | undefined>;
}

export interface Deletions {
  /**
   * Deletes a connector, or resumes its deletion. The connector is DELETING from the first call until it is deleted.
   *
   * @throws CodedError NOT_FOUND, ABORTED if the etag differs, FAILED_PRECONDITION if a job does not end in time, UNAVAILABLE if Temporal
   *   cannot be reached
   */
  delete(tenant: string, request: DeletionRequest): Promise<Deleted>;
  /** Finishes in the background the deletions that were interrupted when the catalog stopped. */
  resume(): void;
  stop(): void;
}

export type DeletionRequest = Pick<DeleteConnectorRequest, 'connectorId' | 'etag' | 'deleteContents'>;

/** The deletions of a tenant's connectors. */
export interface TenantDeletions {
  /** See `Deletions`. */
  delete(request: DeletionRequest): Promise<Deleted>;
}

/** Number of tables and views that were deleted with a connector, and of the snapshots of these tables. */
export interface Deleted {
  tables: number;
  views: number;
  snapshots: number;
}

/**
 * Keeps the schedules in Temporal in agreement with the policies of the connectors. Its calls fail with UNAVAILABLE if Temporal cannot be
 * reached.
 */
export interface ScheduleKeeper {
  /** The schedules of a tenant's connectors. */
  of(tenant: string): TenantSchedules;
  stop(): void;
}

/** Part of a ScheduleKeeper: the schedules of one tenant. */
export interface TenantSchedules {
  /** Updates the schedule of a new or changed connector in the background, and retries for as long as Temporal cannot be reached. */
  syncInBackground(connectorId: string): void;
  /** Creates, updates or removes a connector's schedule. */
  sync(connectorId: string): Promise<void>;
  /** A connector's schedule and its status; undefined if there is no schedule and none is required. */
  find(connectorId: string): Promise<Schedule | undefined>;
  /** Updates all schedules, and removes those of connectors that no longer exist. Those of other catalogs are left alone. */
  repair(): Promise<RepairSchedulesResponse>;
}

/** Called after every change of a job's record, with the failures that were recorded with it. */
export type ObserveJob = (
  before: ReconcileJob | undefined,
  after: ReconcileJob,
  failures?: readonly JobFailure[],
) => void;
