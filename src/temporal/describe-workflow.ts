import { status as grpcStatus } from '@grpc/grpc-js';
import { type Client, isGrpcServiceError } from '@temporalio/client';
import proto from '@temporalio/proto';
import type { WorkflowStatus } from '../contract/job-control.ts';
import { mapTemporalErrors } from './temporal-errors.ts';

const { WorkflowExecutionStatus } = proto.temporal.api.enums.v1;

/**
 * Describes a workflow. Unlike the SDK's handle, it does not decode the memo: a process whose codec lacks the key of another job's memo
 * must still see whether that job runs.
 *
 * @throws CodedError UNAVAILABLE if Temporal does not answer; gRPC's NOT_FOUND if it does not know the id
 */
export async function describeWorkflow(client: Client, workflowId: string) {
  const { pendingActivities, pendingWorkflowTask, workflowExecutionInfo } = await mapTemporalErrors(() =>
    client.workflowService.describeWorkflowExecution({
      namespace: client.options.namespace,
      execution: { workflowId },
    }),
  );
  const name = WorkflowExecutionStatus[workflowExecutionInfo?.status ?? 0] ?? '';
  return {
    pendingActivities: pendingActivities ?? [],
    pendingWorkflowTask: pendingWorkflowTask ?? undefined,
    runId: workflowExecutionInfo?.execution?.runId ?? '',
    status: STATUS_BY_NAME[name.replace('WORKFLOW_EXECUTION_STATUS_', '')],
  };
}

/** Whether Temporal does not know the workflow. */
export function isUnknownWorkflow(error: unknown): boolean {
  return isGrpcServiceError(error) && error.code === grpcStatus.NOT_FOUND;
}

const STATUS_BY_NAME: Record<string, WorkflowStatus | undefined> = {
  RUNNING: 'RUNNING',
  PAUSED: 'RUNNING',
  CONTINUED_AS_NEW: 'RUNNING',
  COMPLETED: 'COMPLETED',
  FAILED: 'FAILED',
  CANCELED: 'CANCELED',
  TERMINATED: 'TERMINATED',
  TIMED_OUT: 'TIMED_OUT',
};
