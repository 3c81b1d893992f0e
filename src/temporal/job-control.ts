import {
  type Client,
  WorkflowExecutionAlreadyStartedError,
  WorkflowFailedError,
  WorkflowNotFoundError,
} from '@temporalio/client';
import { ActivityFailure, ApplicationFailure } from '@temporalio/common';
import {
  alertSummary,
  alertWorkflowId,
  type Progress,
  type TableFailure,
  type ValidateRequest,
  type ValidateResult,
} from '../contract/job.ts';
import type { JobControl } from '../contract/job-control.ts';
import {
  ALERT_WORKFLOW,
  RECONCILE_WORKFLOW,
  scanQueueOf,
  TASK_QUEUE,
  VALIDATE_WORKFLOW,
  WAKE_SIGNAL,
} from '../contract/names.ts';
import { noWorkerText, workerCommand } from '../contract/unserved-queue.ts';
import { CodedError, type CodeName } from '../errors.ts';
import { describeWorkflow, isUnknownWorkflow } from './describe-workflow.ts';
import { jobLabels } from './job-labels.ts';
import { hasWorkers } from './queue-workers.ts';
import { temporalSchedules } from './schedule-control.ts';
import { isUnanswered, mapTemporalErrors } from './temporal-errors.ts';
import { unpolledQueue, untakenText, waitsSince } from './unpolled-queue.ts';
import { resultUnlessUnserved, VALIDATE_TIMEOUT_S, validationTimeoutText } from './validation-timeout.ts';

/** How long a query waits for a worker before the recorded progress is used instead. */
const QUERY_DEADLINE_MS = 1_500;
/** How long people who watch a job wait for Temporal before they see that it does not answer. */
const DESCRIBE_TIMEOUT_MS = 4_000;
/** How long Temporal may take to answer at all. */
const ANSWER_TIMEOUT_MS = 10_000;
/** How long Temporal may take to start a workflow. */
const START_TIMEOUT_MS = 30_000;

/**
 * Implements `JobControl` with a Temporal client that connects at the first call.
 *
 * @param uiBase of links in the details of jobs; by default, they lead to the UI that shows them
 */
export function temporalJobControl(connect: () => Promise<Client>, uiBase?: string): JobControl {
  let connected: Promise<Client> | undefined;
  const client = () => {
    connected ??= connect().catch((error) => {
      connected = undefined;
      throw error;
    });
    return connected;
  };

  return {
    schedules: temporalSchedules(client, uiBase),

    async start(jobId, request, connector, retryOf) {
      const c = await client();
      // If Temporal does not answer this call, no job was started. If only the start is not answered, the job may run.
      await mapTemporalErrors(() =>
        c.withDeadline(Date.now() + ANSWER_TIMEOUT_MS, () => c.workflowService.getSystemInfo({})),
      );
      const labels = await jobLabels(c, request, connector, { uiBase, retryOf });
      try {
        const handle = await c.withDeadline(Date.now() + START_TIMEOUT_MS, () =>
          c.workflow.start(RECONCILE_WORKFLOW, {
            workflowId: jobId,
            taskQueue: TASK_QUEUE,
            args: [request],
            workflowIdReusePolicy: 'REJECT_DUPLICATE',
            ...labels,
          }),
        );
        return { runId: handle.firstExecutionRunId };
      } catch (error) {
        if (isUnanswered(error)) {
          throw new CodedError(
            'DEADLINE_EXCEEDED',
            `Temporal did not answer the request to start job ${jobId}, so the job may run. Check it with \`reconciler job get ${jobId}\`.`,
            { cause: error },
          );
        }
        if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
        return { runId: (await describeWorkflow(c, jobId)).runId };
      }
    },

    async describe(jobId) {
      const c = await client();
      try {
        return (await c.withDeadline(Date.now() + DESCRIBE_TIMEOUT_MS, () => describeWorkflow(c, jobId))).status;
      } catch (error) {
        if (isUnknownWorkflow(error)) return undefined;
        throw error;
      }
    },

    async progress(jobId) {
      const c = await client();
      const handle = c.workflow.getHandle(jobId);
      try {
        const [progress, { pendingActivities }] = await Promise.all([
          c.withDeadline(Date.now() + QUERY_DEADLINE_MS, () => handle.query<Progress>('progress')),
          c.withDeadline(Date.now() + QUERY_DEADLINE_MS, () => describeWorkflow(c, jobId)),
        ]);
        // The progress is good without it.
        const unpolled = await c
          .withDeadline(Date.now() + QUERY_DEADLINE_MS, () => unpolledQueue(c, pendingActivities))
          .catch(() => undefined);
        if (unpolled) progress.phase = noWorkerText(waitsSince(unpolled, progress));
        return progress;
      } catch {
        return undefined;
      }
    },

    async untaken(jobId) {
      const c = await client();
      return c.withDeadline(Date.now() + QUERY_DEADLINE_MS, () => untakenText(c, jobId));
    },

    async failures(jobId) {
      const c = await client();
      const query = () => c.workflow.getHandle(jobId).query<TableFailure[]>('failures');
      return c.withDeadline(Date.now() + QUERY_DEADLINE_MS, query).catch(() => []);
    },

    async wake(jobId) {
      const c = await client();
      try {
        await mapTemporalErrors(() =>
          c.withDeadline(Date.now() + ANSWER_TIMEOUT_MS, () => c.workflow.getHandle(jobId).signal(WAKE_SIGNAL)),
        );
      } catch (error) {
        if (!(error instanceof WorkflowNotFoundError)) throw error;
      }
    },

    async cancel(jobId) {
      const c = await client();
      try {
        await mapTemporalErrors(() => c.workflow.getHandle(jobId).cancel());
      } catch (error) {
        if (!(error instanceof WorkflowNotFoundError)) throw error;
      }
    },

    async validate(request: ValidateRequest): Promise<ValidateResult> {
      const c = await client();
      try {
        return await mapTemporalErrors(async () => {
          const handle = await c.workflow.start<(request: ValidateRequest) => Promise<ValidateResult>>(
            VALIDATE_WORKFLOW,
            {
              workflowId: `validate-${crypto.randomUUID()}`,
              taskQueue: TASK_QUEUE,
              args: [request],
              workflowExecutionTimeout: VALIDATE_TIMEOUT_S * 1000,
            },
          );
          return resultUnlessUnserved(c, handle, request);
        });
      } catch (error) {
        if (error instanceof WorkflowFailedError) {
          const failure = error.cause instanceof ActivityFailure ? error.cause.cause : error.cause;
          if (failure instanceof ApplicationFailure) {
            throw new CodedError((failure.type ?? 'INTERNAL') as CodeName, failure.message, { cause: error });
          }
          const message = await mapTemporalErrors(() => validationTimeoutText(c, request));
          throw new CodedError('UNAVAILABLE', message, { cause: error });
        }
        throw error;
      }
    },

    async queueWarning(taskQueue) {
      const c = await client();
      for (const queue of [taskQueue, scanQueueOf(taskQueue)]) {
        if (await hasWorkers(c, queue)) continue;
        return `no worker polls task queue '${queue}' at present, so jobs will wait. Start one with \`${workerCommand(queue)}\`.`;
      }
      return undefined;
    },

    async alert(request) {
      const c = await client();
      const alert = {
        workflowId: alertWorkflowId(request.jobId),
        taskQueue: TASK_QUEUE,
        args: [request],
        workflowIdReusePolicy: 'REJECT_DUPLICATE',
        staticSummary: alertSummary(request),
      } as const;
      try {
        await mapTemporalErrors(() => c.workflow.start(ALERT_WORKFLOW, alert));
      } catch (error) {
        if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
      }
    },

    async close() {
      const c = await connected?.catch(() => undefined);
      await c?.connection.close();
    },
  };
}
