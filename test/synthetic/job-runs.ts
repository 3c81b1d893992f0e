import type { Client, WorkflowExecutionDescription, WorkflowHandle } from '@temporalio/client';
import type { temporal } from '@temporalio/proto';

/** One run of a job in Temporal. A job that continues as new has several. */
export interface JobRun {
  runId: string;
  events: temporal.api.history.v1.IHistoryEvent[];
  /** Size of the history. */
  bytes: number;
}

/** Reads a job's runs, first to last. */
export async function* jobRuns(client: Client, jobId: string): AsyncGenerator<JobRun> {
  // The last event of each run names the next one, so the chain can only be followed from its first run.
  const last = await client.workflow.getHandle(jobId).describe();
  for (let runId: string | undefined | null = last.raw.workflowExecutionInfo?.firstRunId || last.runId; runId; ) {
    const run: WorkflowHandle = client.workflow.getHandle(jobId, runId);
    const [{ events }, { historySize }]: [temporal.api.history.v1.IHistory, WorkflowExecutionDescription] =
      await Promise.all([run.fetchHistory(), run.describe()]);
    yield { runId, events: events ?? [], bytes: historySize ?? 0 };
    runId = events?.at(-1)?.workflowExecutionContinuedAsNewEventAttributes?.newExecutionRunId;
  }
}
