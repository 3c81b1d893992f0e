import type { AlertRequest, Progress, ReconcileRequest, TableFailure, ValidateRequest, ValidateResult } from './job.ts';
import type { ScheduleControl } from './schedule-control.ts';

/** How a job's workflow stands in Temporal. */
export type WorkflowStatus = 'RUNNING' | 'COMPLETED' | 'FAILED' | 'CANCELED' | 'TERMINATED' | 'TIMED_OUT';

/** What the catalog service asks of Temporal. Its errors are CodedErrors; `UNAVAILABLE` where Temporal cannot be reached. */
export interface JobControl {
  /** Starts the workflow with this id. With an id that is taken nothing is started. Gives the first run's id. */
  start(jobId: string, request: ReconcileRequest, connector: { id: string; name: string }): Promise<{ runId: string }>;
  /** Undefined where Temporal does not know the id (any more). */
  describe(jobId: string): Promise<WorkflowStatus | undefined>;
  /** Live progress; undefined where no worker answers in time. */
  progress(jobId: string): Promise<Progress | undefined>;
  /** Its first failures so far; none where no worker answers in time. */
  failures(jobId: string): Promise<TableFailure[]>;
  /** Asks the workflow to cancel. Nothing happens where it has ended. */
  cancel(jobId: string): Promise<void>;
  /** Runs the workflow `validateConnector` to its end. `UNAVAILABLE` where no worker takes it in time. */
  validate(request: ValidateRequest): Promise<ValidateResult>;
  /** Starts the workflow that sends the alert. One that was started before is left alone. */
  alert(request: AlertRequest): Promise<void>;
  readonly schedules: ScheduleControl;
  close(): Promise<void>;
}
