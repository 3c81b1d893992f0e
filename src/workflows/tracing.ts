import { defaultPayloadConverter, type Payload } from '@temporalio/common';
import { ContinueAsNew, proxySinks, type Sinks, type WorkflowInterceptors, workflowInfo } from '@temporalio/workflow';
import { SEARCH_ATTRIBUTES } from '../contract/search-attributes.ts';
import { runSpanId } from '../telemetry/tracing/run-span.ts';
import { TRACE_HEADER } from '../telemetry/tracing/trace-header.ts';

/** Told on the worker's side, not while replaying. */
export interface TracingSinks extends Sinks {
  tracing: {
    /** A run has ended. Of one that nothing traced has started, `trace` and `parent` are absent. */
    ran(run: { trace?: { traceparent: string }; parent?: { traceparent: string }; error?: string }): void;
  };
}

/**
 * Carries the trace that a run was started with to its activities and to the run that it goes on in, and tells the worker of its end.
 *
 * What a workflow does, and in which order, must not depend on whether it is traced: everything here is passed on in the same step, no
 * promise is put in between, nothing random is drawn. A run that was not started with a trace gets no header either.
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
          const told: TracingSinks['tracing']['ran'] = (run) => {
            if (!workflowInfo().unsafe.isReplaying) tracing.ran(run);
          };
          ended.then(
            () => told({ trace, parent }),
            (error) => told({ trace, parent, error: problemOf(error) }),
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
    // Somebody else's header.
    return undefined;
  }
}

/** The run's own span. */
function childOf(traceparent: string): string {
  const [, traceId, flags] = TRACEPARENT.exec(traceparent) as unknown as [string, string, string];
  return `00-${traceId}-${runSpanId(workflowInfo().runId)}-${flags}`;
}

function problemOf(error: unknown): string | undefined {
  if (error instanceof ContinueAsNew) return undefined;
  return error instanceof Error ? error.message : String(error);
}

/** For log lines of the workflow. */
function connector(): { connector?: string } {
  const { typedSearchAttributes } = workflowInfo();
  const name = typedSearchAttributes.get(SEARCH_ATTRIBUTES.connector);
  return name === undefined ? {} : { connector: name };
}
