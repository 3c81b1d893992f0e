import type { WorkflowClientInterceptor } from '@temporalio/client';
import { defaultPayloadConverter } from '@temporalio/common';
import type { Carrier } from '../telemetry/tracing/spans.ts';
import { TRACE_HEADER } from '../telemetry/tracing/trace-header.ts';
import { currentTracing } from '../telemetry/tracing/tracing.ts';

/** @returns an interceptor that passes the current trace on to workflows that the client starts; undefined if tracing is off */
export function traceStarts(): WorkflowClientInterceptor | undefined {
  const tracing = currentTracing();
  return (
    tracing && {
      startWithDetails(input, next) {
        const name = `StartWorkflow:${input.workflowType}`;
        const attributes = { temporalWorkflowId: input.options.workflowId };
        return tracing.span({ name, kind: 'client', attributes }, (span) => {
          const header = defaultPayloadConverter.toPayload<Carrier>(span.carrier);
          return next({ ...input, headers: { ...input.headers, [TRACE_HEADER]: header } });
        });
      },
    }
  );
}
