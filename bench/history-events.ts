import { Client, Connection } from '@temporalio/client';
import { jobRuns } from '../test/synthetic/job-runs.ts';

/** Counts the events in Temporal's history of a job, over all runs of a job that continued as new. */
export async function historyEvents(address: string, workflowId: string): Promise<{ events: number; runs: number }> {
  const connection = await Connection.connect({ address });
  try {
    const sum = { events: 0, runs: 0 };
    for await (const { events } of jobRuns(new Client({ connection }), workflowId)) {
      sum.events += events.length;
      sum.runs += 1;
    }
    return sum;
  } finally {
    await connection.close();
  }
}
