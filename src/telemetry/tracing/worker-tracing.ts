import { defaultPayloadConverter } from '@temporalio/common';
import type { ActivityInterceptorsFactory, InjectedSinks } from '@temporalio/worker';
import { type Fields, inScope } from './scope.ts';
import type { Attributes, Carrier } from './spans.ts';
import { TRACE_HEADER } from './trace-header.ts';
import { currentTracing } from './tracing.ts';

/**
 * Gives every activity a scope of its own, whose fields are added to its log lines, and a span if tracing is on.
 *
 * @param fieldsOf returns the fields that describe an activity, from its input
 */
export function observeActivities(fieldsOf: (input: unknown) => Fields): ActivityInterceptorsFactory {
  return ({ info }) => ({
    inbound: {
      async execute(input, next) {
        const { workflowExecution, activityType, activityId, attempt } = info;
        const fields: Fields = { job: workflowExecution?.workflowId, activity: activityType, attempt };
        Object.assign(fields, fieldsOf(input.args[0]));
        const tracing = currentTracing();
        if (tracing === undefined) return inScope({ fields }, () => next(input));
        const header = input.headers[TRACE_HEADER];
        const runId = workflowExecution?.runId ?? '';
        const parent = header ? defaultPayloadConverter.fromPayload<Carrier>(header) : tracing.runTrace(runId);
        const attributes: Attributes = { run_id: runId, temporalActivityId: activityId };
        const spec = { name: `RunActivity:${activityType}`, kind: 'internal', parent, attributes } as const;
        return inScope({ fields }, () =>
          tracing.span(spec, async (span) => {
            try {
              return await next(input);
            } finally {
              // Some fields become known only during the activity.
              span.set(attributesOf(fields));
            }
          }),
        );
      },
    },
  });
}

/** Span attributes, named as in Temporal's own OpenTelemetry interceptors if they have them. */
function attributesOf({ job, connector, table, tables, attempt }: Fields): Attributes {
  return {
    temporalWorkflowId: job as string,
    attempt: attempt as number,
    'reconciler.connector': connector as string | undefined,
    'reconciler.table': table as string | undefined,
    'reconciler.tables': tables as string[] | undefined,
  };
}

type RunSinks = { tracing: { ran(run: { trace?: Carrier; parent?: Carrier; error?: string }): void } };

/** Receives the runs that the workflow's interceptor reports (see src/workflows/tracing.ts). */
export function tracingSinks(): InjectedSinks<RunSinks> {
  return {
    tracing: {
      ran: {
        fn(info, { trace, parent, error }) {
          const tracing = currentTracing();
          tracing?.recordRun({
            name: `RunWorkflow:${info.workflowType}`,
            trace: trace ?? tracing.runTrace(info.runId),
            parent,
            start: info.runStartTime,
            attributes: { temporalWorkflowId: info.workflowId, run_id: info.runId },
            error,
          });
        },
      },
    },
  };
}
