import {
  type Client,
  WorkflowExecutionAlreadyStartedError,
  WorkflowFailedError,
  WorkflowNotFoundError,
} from '@temporalio/client';
import { ActivityFailure, ApplicationFailure, type Payload } from '@temporalio/common';
import type { IngestHeartbeat, ViewsHeartbeat } from '../contract/activities.ts';
import {
  addCounts,
  alertSummary,
  alertWorkflowId,
  type Progress,
  type TableFailure,
  type ValidateRequest,
  type ValidateResult,
} from '../contract/job.ts';
import type { JobControl, WorkflowStatus } from '../contract/job-control.ts';
import { ALERT_WORKFLOW, RECONCILE_WORKFLOW, TASK_QUEUE, VALIDATE_WORKFLOW } from '../contract/names.ts';
import { CodedError, type CodeName } from '../errors.ts';
import { jobLabels } from './job-labels.ts';
import { temporalSchedules } from './schedule-control.ts';
import { isUnanswered, mapTemporalErrors } from './temporal-errors.ts';
import { noWorkerText, unservedQueue } from './unpolled-queue.ts';

/** How long a query waits for a worker before the recorded progress is taken instead. */
const QUERY_DEADLINE_MS = 1_500;
/** How long Temporal may take to say anything. */
const ANSWER_TIMEOUT_MS = 10_000;
/** How long it may take to start a workflow. */
const START_MS = 30_000;
/** Priority of jobs that people start; 1 is the highest, 5 the lowest. Their activities inherit it. */
const INTERACTIVE = 2;
/** A worker that is there validates at once; the upstream's own time limits are shorter. */
const VALIDATE_TIMEOUT = '60s';

/** `JobControl` on a Temporal client that connects when it is first needed. */
export function temporalJobControl(connect: () => Promise<Client>): JobControl {
  let connected: Promise<Client> | undefined;
  const client = () => {
    connected ??= connect().catch((error) => {
      connected = undefined;
      throw error;
    });
    return connected;
  };

  return {
    schedules: temporalSchedules(client),

    async start(jobId, request, connector) {
      const c = await client();
      // Where Temporal does not answer at all, nothing was started. Where it did, and not the start, that is not known.
      await mapTemporalErrors(() =>
        c.withDeadline(Date.now() + ANSWER_TIMEOUT_MS, () => c.workflowService.getSystemInfo({})),
      );
      const labels = await jobLabels(c, request, connector);
      try {
        const handle = await c.withDeadline(Date.now() + START_MS, () =>
          c.workflow.start(RECONCILE_WORKFLOW, {
            workflowId: jobId,
            taskQueue: TASK_QUEUE,
            args: [request],
            workflowIdReusePolicy: 'REJECT_DUPLICATE',
            // Scheduled runs have Temporal's default, 3: who waits for a job is served before them.
            priority: { priorityKey: INTERACTIVE, fairnessKey: connector.id },
            ...labels,
          }),
        );
        return { runId: handle.firstExecutionRunId };
      } catch (error) {
        if (isUnanswered(error)) {
          throw new CodedError(
            'DEADLINE_EXCEEDED',
            `Temporal was asked to start job ${jobId} and did not answer: it may run. \`reconciler job get ${jobId}\` tells.`,
            { cause: error },
          );
        }
        if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
        const { runId } = await mapTemporalErrors(() => c.workflow.getHandle(jobId).describe());
        return { runId };
      }
    },

    async describe(jobId) {
      const c = await client();
      try {
        const { status } = await mapTemporalErrors(() => c.workflow.getHandle(jobId).describe());
        return STANDING[status.name];
      } catch (error) {
        if (error instanceof WorkflowNotFoundError) return undefined;
        throw error;
      }
    },

    async progress(jobId) {
      const c = await client();
      const handle = c.workflow.getHandle(jobId);
      try {
        const [progress, { raw }] = await Promise.all([
          c.withDeadline(Date.now() + QUERY_DEADLINE_MS, () => handle.query<Progress>('progress')),
          c.withDeadline(Date.now() + QUERY_DEADLINE_MS, () => handle.describe()),
        ]);
        // Workflows count what has ended; what runs now tells its part in heartbeats.
        for (const activity of raw.pendingActivities ?? []) {
          const beat = await decodeHeartbeat(c, activity.heartbeatDetails?.payloads?.[0]);
          addCounts(progress.counters, {
            snapshotsIngested: beat?.snapshots,
            filesIngested: beat?.files,
            bytesRead: beat?.bytesRead,
          });
          // Of a pack: one that failed is tried again by itself before it counts.
          for (const { changed, failure } of beat?.done ?? []) {
            if (!failure) addCounts(progress.counters, { [changed ? 'tablesChanged' : 'tablesUnchanged']: 1 });
          }
          if (beat?.views) {
            const { scanned, changed, errors } = beat.views;
            addCounts(progress.counters, { viewsScanned: scanned, viewsChanged: changed, errors });
          }
        }
        const { pendingActivities } = raw;
        const unserved = await c.withDeadline(Date.now() + QUERY_DEADLINE_MS, () =>
          unservedQueue(c, pendingActivities),
        );
        if (unserved) progress.phase = noWorkerText(unserved);
        return progress;
      } catch {
        return undefined;
      }
    },

    async failures(jobId) {
      const c = await client();
      const query = () => c.workflow.getHandle(jobId).query<TableFailure[]>('failures');
      return c.withDeadline(Date.now() + QUERY_DEADLINE_MS, query).catch(() => []);
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
        return await mapTemporalErrors(() =>
          c.workflow.execute<(request: ValidateRequest) => Promise<ValidateResult>>(VALIDATE_WORKFLOW, {
            workflowId: `validate-${crypto.randomUUID()}`,
            taskQueue: TASK_QUEUE,
            args: [request],
            workflowExecutionTimeout: VALIDATE_TIMEOUT,
          }),
        );
      } catch (error) {
        if (error instanceof WorkflowFailedError) {
          const why = error.cause instanceof ActivityFailure ? error.cause.cause : undefined;
          if (why instanceof ApplicationFailure) {
            throw new CodedError((why.type ?? 'INTERNAL') as CodeName, why.message, { cause: error });
          }
          throw new CodedError(
            'UNAVAILABLE',
            'No worker validated the connector. Start one with `reconciler worker`.',
            {
              cause: error,
            },
          );
        }
        throw error;
      }
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

const STANDING: Record<string, WorkflowStatus | undefined> = {
  RUNNING: 'RUNNING',
  PAUSED: 'RUNNING',
  CONTINUED_AS_NEW: 'RUNNING',
  COMPLETED: 'COMPLETED',
  FAILED: 'FAILED',
  CANCELLED: 'CANCELED',
  CANCELED: 'CANCELED',
  TERMINATED: 'TERMINATED',
  TIMED_OUT: 'TIMED_OUT',
};

/** Heartbeat details of this project's activities are plain JSON, behind the client's codecs. */
async function decodeHeartbeat(
  { options }: Client,
  payload: Payload | undefined,
): Promise<Partial<IngestHeartbeat & ViewsHeartbeat> | undefined> {
  if (!payload?.data?.length) return undefined;
  try {
    let payloads = [payload];
    for (const codec of options.loadedDataConverter.payloadCodecs.toReversed()) payloads = await codec.decode(payloads);
    return JSON.parse(Buffer.from(payloads[0]?.data ?? []).toString('utf8'));
  } catch {
    return undefined;
  }
}
