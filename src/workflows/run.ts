import type { Destination, ResolvedConnector, WalkCursor } from '../contract/activities.ts';
import type { Progress, ReconcileRequest } from '../contract/job.ts';
import type { NameChecksum } from '../contract/name-checksum.ts';
import type { TableRef } from '../contract/upstream-names.ts';
import type { CarriedJob, Job } from './job/job.ts';
import type { PauseGate } from './pause-gate.ts';

/** What the steps of a run share. */
export interface Run {
  request: ReconcileRequest;
  connector: ResolvedConnector;
  job: Job;
  gate: PauseGate;
}

/** Where the next run continues after continue-as-new. */
export interface CarriedRun {
  job: CarriedJob;
  destination: Destination;
  /** Absent if all pages were scanned. */
  cursor?: WalkCursor;
  /** The names of the tables listed so far. */
  listed: NameChecksum;
  /** As the last page reported. */
  hasViews: boolean;
  /** Tables that failed in a pack, or were split, and must still be run by themselves. At most one pack per parallel task. */
  postponed: TableRef[];
}

/** The workflow `reconcile`. */
export type Reconcile = (request: ReconcileRequest, carried?: CarriedRun) => Promise<Progress>;

/** Whether the run has a scope or is a retry. Such a run does not list everything, so it cannot determine what is gone. */
export function isNarrowed({ scope, retryOf }: ReconcileRequest): boolean {
  return scope !== undefined || retryOf !== undefined;
}

/** What all activities that read tables have in common in their inputs. */
export function readOptions({ request, connector }: Pick<Run, 'request' | 'connector'>) {
  const { full = false, scope, snapshots, mode, dryRun } = request;
  return { connectorId: connector.connectorId, full, scope, snapshots, mode, dryRun };
}
