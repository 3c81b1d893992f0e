import type { Destination, JobClaim, RequestOptions, ResolvedConnector, WalkCursor } from '../contract/activities.ts';
import type { Progress, ReconcileRequest } from '../contract/job.ts';
import { type NameChecksum, NO_NAMES } from '../contract/name-checksum.ts';
import type { CarriedControls, Controls } from './controls.ts';
import type { CarriedGate, Gate } from './gate.ts';
import type { CarriedJob, Job } from './job/job.ts';
import type { QueuedTable } from './tables/queued-table.ts';

/** What the steps of a run share. */
export interface Run {
  request: ReconcileRequest;
  /** As it was when the run claimed it; a wait may bring its newer settings. */
  connector: ResolvedConnector;
  /** A wait may bring another. */
  readonly claim: JobClaim;
  job: Job;
  gate: Gate;
  controls: Controls;
  destination: Destination;
  place: Place;
  /** Claims the connector again, with its current settings; waits while another job has it. */
  reclaim(): Promise<void>;
  /**
   * The same for a job that has only its end left. The next run of its workflow would not know how it has ended.
   *
   * @returns false if it has waited in vain for as long as a run waits
   */
  reclaimForEnd(): Promise<boolean>;
  /** Records the job and goes on in another run of the workflow. To be called only while no step is in flight. */
  continueAsNew(): Promise<never>;
}

/** How far a job is. Plain data, which the next run gets after continue-as-new. */
export interface Place {
  /** Where the listing of tables continues. Absent before the first page and after the last one. */
  cursor?: WalkCursor;
  /** All pages were scanned. */
  tablesListed?: true;
  /** All changed tables are ingested. */
  tablesDone?: true;
  /** The names of the tables listed so far. */
  tables: NameChecksum;
  /** As the last page reported. */
  hasViews?: true;
  /** The catalog had exactly the tables that were listed. */
  noTableGone?: true;
  /** Changed tables that are still to be ingested: at most a pack or a table for each parallel task, and as many again. */
  queue: (QueuedTable | QueuedTable['table'][])[];
  /** Where the listing of views continues. */
  viewsCursor?: WalkCursor;
  viewsDone?: true;
  /** The views were listed: none of them failed to be. */
  viewsListed?: true;
  views: NameChecksum;
  noViewGone?: true;
  missingDone?: true;
}

export const newPlace = (): Place => ({ tables: NO_NAMES, queue: [], views: NO_NAMES });

/** What the next run continues with after continue-as-new. */
export interface CarriedRun {
  job: CarriedJob;
  /** Absent if the job still waits for its connector. */
  destination?: Destination;
  place: Place;
  controls: CarriedControls;
  gate: CarriedGate;
}

/** The workflow `reconcile`. */
export type Reconcile = (request: ReconcileRequest, carried?: CarriedRun) => Promise<Progress>;

/** Whether the run has a scope or is a retry. Such a run does not list everything, so it cannot determine what is gone. */
export function isNarrowed({ scope, retryOf }: ReconcileRequest): boolean {
  return scope !== undefined || retryOf !== undefined;
}

/** In characters of JSON: options of a request that are longer are not repeated in the inputs of activities. */
const MAX_REPEATED = 2_000;

/** What all activities that read tables have in common in their inputs. */
export function readOptions({
  request,
  claim,
  job,
  destination,
}: Pick<Run, 'request' | 'claim' | 'job' | 'destination'>): JobClaim &
  RequestOptions & { full: boolean; dryRun?: boolean } {
  const full = request.full || destination.unverifiedSinceMs !== undefined;
  const { scope, snapshots, mode, dryRun, retryOf } = request;
  const isLong = JSON.stringify({ scope, snapshots }).length > MAX_REPEATED;
  const selection = isLong ? { requestOf: job.id } : { scope, snapshots };
  return { ...claim, full, ...selection, mode, dryRun, ...(retryOf && { retries: true }) };
}
