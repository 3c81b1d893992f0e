import type { AlertRequest, Progress, ReconcileRequest, TableFailure, ValidateRequest, ValidateResult } from './job.ts';
import type { ScheduleControl } from './schedule-control.ts';

/** A workflow's status in Temporal. */
export type WorkflowStatus = 'RUNNING' | 'COMPLETED' | 'FAILED' | 'CANCELED' | 'TERMINATED' | 'TIMED_OUT';

/** How the catalog service starts and observes jobs. Errors are CodedErrors: `UNAVAILABLE` if Temporal cannot be reached. */
export interface JobControl {
  /**
   * Starts the workflow with this id, unless one has the id already. Returns the first run's id.
   *
   * @param retryOf the job that it retries, wholly or in part
   */
  start(
    jobId: string,
    request: ReconcileRequest,
    connector: { id: string; name: string },
    retryOf?: string,
  ): Promise<{ runId: string }>;
  /** Undefined if Temporal does not know the id, or no longer knows it. */
  describe(jobId: string): Promise<WorkflowStatus | undefined>;
  /** Live progress; undefined if no worker answers in time. */
  progress(jobId: string): Promise<Progress | undefined>;
  /**
   * Why a workflow without live progress waits, as a text for people: no worker takes its steps. Undefined if one seems to.
   * `UNAVAILABLE` if Temporal does not answer.
   */
  untaken(jobId: string): Promise<string | undefined>;
  /** Its first failures so far; none if no worker answers in time. */
  failures(jobId: string): Promise<TableFailure[]>;
  /** Signals a job that what it waits for may have come true. Does nothing if its workflow is closed or unknown. */
  wake(jobId: string): Promise<void>;
  /** Requests the workflow's cancellation. Does nothing if it has ended. */
  cancel(jobId: string): Promise<void>;
  /** Runs the workflow `validateConnector` to its end. `UNAVAILABLE` as soon as it is certain that no worker takes it, or after a minute. */
  validate(request: ValidateRequest): Promise<ValidateResult>;
  /** A warning for people if no worker serves a connector's task queue, or the one of short steps beside it; undefined if workers do. */
  queueWarning(taskQueue: string): Promise<string | undefined>;
  /** Starts the workflow that sends the alert, unless it was started before. */
  alert(request: AlertRequest): Promise<void>;
  readonly schedules: ScheduleControl;
  close(): Promise<void>;
}
