import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Client } from '@temporalio/client';
import proto from '@temporalio/proto';

/** Waits for the end of a workflow and saves the history of its last run, or of the given run. */
export async function saveHistory(
  { temporal }: { temporal: Client },
  name: string,
  workflowId: string,
  runId?: string,
): Promise<void> {
  const workflow = temporal.workflow.getHandle(workflowId, runId);
  // The job's record ends a moment before its workflow does.
  await temporal.workflow
    .getHandle(workflowId)
    .result()
    .catch(() => {});
  const history = await workflow.fetchHistory();
  // The format is not JSON, because the SDK's conversion fails if npm has installed protobufjs more than once.
  const bytes = proto.temporal.api.history.v1.History.encode(history).finish();
  writeFileSync(join(import.meta.dirname, `${name}.binpb`), bytes);
  console.log(`${name}: ${history.events?.length} events`);
}
