import type { Client, WorkflowExecutionDescription, WorkflowHandle } from '@temporalio/client';
import type { temporal } from '@temporalio/proto';

/** One run of a job that continued as new, as Temporal keeps it. */
export interface JobRun {
  runId: string;
  events: temporal.api.history.v1.IHistoryEvent[];
  /** Of the history. */
  bytes: number;
}

/** A job's runs, first to last. */
export async function* jobRuns(client: Client, jobId: string): AsyncGenerator<JobRun> {
  // A chain is walked from its first run: the last event of each names the next.
  const last = await client.workflow.getHandle(jobId).describe();
  for (let runId: string | undefined | null = last.raw.workflowExecutionInfo?.firstRunId || last.runId; runId; ) {
    const run: WorkflowHandle = client.workflow.getHandle(jobId, runId);
    const [{ events }, { historySize }]: [temporal.api.history.v1.IHistory, WorkflowExecutionDescription] =
      await Promise.all([run.fetchHistory(), run.describe()]);
    yield { runId, events: events ?? [], bytes: historySize ?? 0 };
    runId = events?.at(-1)?.workflowExecutionContinuedAsNewEventAttributes?.newExecutionRunId;
  }
}
