import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import proto from '@temporalio/proto';
import type { RunningStack } from '../integration/running-stack.ts';

/** Keeps the history of a workflow that is about to end. */
export async function saveHistory(stack: RunningStack, name: string, workflowId: string): Promise<void> {
  const workflow = stack.temporal.workflow.getHandle(workflowId);
  // The job's record ends a moment before its workflow does.
  await workflow.result().catch(() => {});
  const history = await workflow.fetchHistory();
  // Not JSON: the SDK's own conversion fails where npm installs protobufjs more than once.
  const bytes = proto.temporal.api.history.v1.History.encode(history).finish();
  writeFileSync(join(import.meta.dirname, `${name}.binpb`), bytes);
  console.log(`${name}: ${history.events?.length} events`);
}
