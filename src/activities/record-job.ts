import { JobState } from '../generated/reconciler/v1/jobs.ts';
import type { Progress, TableFailure } from '../workflows/contract.ts';
import type { ActivityDeps } from './deps.ts';

/** A job's record as the workflow knows it. */
export interface JobRecord {
  jobId: string;
  runId: string;
  connectorId: string;
  connectorName: string;
  full: boolean;
  message: string;
  progress: Progress;
  /** Failures since the last record; at most some hundred. */
  failures: TableFailure[];
  startedAtMs?: number;
  finishedAtMs?: number;
}

/** Writes the job's record: it outlives Temporal's history, and answers for the job when no worker does. */
export async function recordJob(deps: ActivityDeps, record: JobRecord): Promise<void> {
  const { progress } = record;
  await deps.catalog.reconciliation.recordJob({
    job: {
      jobId: record.jobId,
      runId: record.runId,
      connectorId: record.connectorId,
      connectorName: record.connectorName,
      fullRescan: record.full,
      state: JobState[progress.state],
      phase: progress.phase,
      message: record.message,
      startedAt: date(record.startedAtMs),
      finishedAt: date(record.finishedAtMs),
      tablesScanned: BigInt(progress.tablesScanned),
      tablesChanged: BigInt(progress.tablesChanged),
      tablesUnchanged: BigInt(progress.tablesUnchanged),
      tablesFiltered: BigInt(progress.tablesFiltered),
      tablesMissing: BigInt(progress.tablesMissing),
      errors: BigInt(progress.errors),
      snapshotsIngested: BigInt(progress.snapshotsIngested),
      filesIngested: BigInt(progress.filesIngested),
      bytesRead: BigInt(progress.bytesRead),
      viewsScanned: BigInt(progress.viewsScanned ?? 0),
      viewsChanged: BigInt(progress.viewsChanged ?? 0),
      viewsMissing: BigInt(progress.viewsMissing ?? 0),
      upstreamRequests: BigInt(progress.upstreamRequests ?? 0),
    },
    failures: record.failures.map(({ table, code, message, failedAtMs }) => ({
      table,
      code,
      message,
      failedAt: new Date(failedAtMs),
    })),
  });
}

const date = (ms: number | undefined) => (ms === undefined ? undefined : new Date(ms));
