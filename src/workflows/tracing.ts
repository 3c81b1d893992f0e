import { defaultPayloadConverter, type Payload } from '@temporalio/common';
import { ContinueAsNew, proxySinks, type Sinks, type WorkflowInterceptors, workflowInfo } from '@temporalio/workflow';
import { SEARCH_ATTRIBUTES } from '../contract/search-attributes.ts';
import { runSpanId } from '../telemetry/tracing/run-span.ts';
import { TRACE_HEADER } from '../telemetry/tracing/trace-header.ts';

/** Called in the worker's process, but not during a replay. */
export interface TracingSinks extends Sinks {
  tracing: {
    /** A run has ended. `trace` and `parent` are absent if it was started without a trace. */
    ran(run: { trace?: { traceparent: string }; parent?: { traceparent: string }; error?: string }): void;
  };
}

/**
 * Passes the trace that a run was started with on to its activities and to the next run after continue-as-new, and reports the run's end
 * to the worker.
 *
 * A workflow's commands and their order must not depend on whether it is traced: everything is passed on synchronously, without a promise
 * in between and without random values. A run that was started without a trace sends no header.
 */
export function interceptors(): WorkflowInterceptors {
  const { tracing } = proxySinks<TracingSinks>();
  let header: Payload | undefined;
  const traced = <I extends { headers: Record<string, Payload> }>(input: I): I =>
    header === undefined ? input : { ...input, headers: { ...input.headers, [TRACE_HEADER]: header } };

  return {
    inbound: [
      {
        execute(input, next) {
          const parent = carrierIn(input.headers);
          const trace = parent && { traceparent: childOf(parent.traceparent) };
          if (trace) header = defaultPayloadConverter.toPayload(trace);
          const ended = next(input);
          const report: TracingSinks['tracing']['ran'] = (run) => {
            if (!workflowInfo().unsafe.isReplaying) tracing.ran(run);
          };
          ended.then(
            () => report({ trace, parent }),
            (error) => report({ trace, parent, error: messageOf(error) }),
          );
          return ended;
        },
      },
    ],
    outbound: [
      {
        scheduleActivity: (input, next) => next(traced(input)),
        startChildWorkflowExecution: (input, next) => next(traced(input)),
        continueAsNew: (input, next) => next(traced(input)),
        getLogAttributes: (input, next) => next({ ...input, ...connector() }),
      },
    ],
  };
}

const TRACEPARENT = /^00-([0-9a-f]{32})-[0-9a-f]{16}-([0-9a-f]{2})$/;

function carrierIn(headers: Record<string, Payload>): { traceparent: string } | undefined {
  const payload = headers[TRACE_HEADER];
  if (payload === undefined) return undefined;
  try {
    const { traceparent } = defaultPayloadConverter.fromPayload<{ traceparent?: unknown }>(payload);
    return typeof traceparent === 'string' && TRACEPARENT.test(traceparent) ? { traceparent } : undefined;
  } catch {
    // A header of another tracer.
    return undefined;
  }
}

/** The run's own span. */
function childOf(traceparent: string): string {
  const [, traceId, flags] = TRACEPARENT.exec(traceparent) as unknown as [string, string, string];
  return `00-${traceId}-${runSpanId(workflowInfo().runId)}-${flags}`;
}

function messageOf(error: unknown): string | undefined {
  if (error instanceof ContinueAsNew) return undefined;
  return error instanceof Error ? error.message : String(error);
}

/** Added to the workflow's log lines. */
function connector(): { connector?: string } {
  const { typedSearchAttributes } = workflowInfo();
  const name = typedSearchAttributes.get(SEARCH_ATTRIBUTES.connector);
  return name === undefined ? {} : { connector: name };
}
