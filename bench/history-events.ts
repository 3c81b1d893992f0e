import { Client, Connection } from '@temporalio/client';

/** Events in Temporal's history of a job, over all runs where it continued as new. */
export async function historyEvents(address: string, workflowId: string): Promise<{ events: number; runs: number }> {
  const connection = await Connection.connect({ address });
  try {
    const client = new Client({ connection });
    let events = 0;
    let runs = 0;
    // A chain is walked from its first run: the last event of each names the next.
    const last = await client.workflow.getHandle(workflowId).describe();
    const first = last.raw.workflowExecutionInfo?.firstRunId || last.runId;
    for (let runId: string | undefined | null = first; runId; runs++) {
      const history = await client.workflow.getHandle(workflowId, runId).fetchHistory();
      events += history.events?.length ?? 0;
      runId = history.events?.at(-1)?.workflowExecutionContinuedAsNewEventAttributes?.newExecutionRunId;
    }
    return { events, runs };
  } finally {
    await connection.close();
  }
}
