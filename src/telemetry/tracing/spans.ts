/** Trace context as in HTTP headers and gRPC metadata: https://www.w3.org/TR/trace-context/ */
export interface Carrier {
  traceparent?: string;
  tracestate?: string;
}

export type Attributes = Record<string, string | number | boolean | string[] | undefined>;

export interface SpanSpec {
  name: string;
  kind: 'client' | 'server' | 'internal';
  attributes?: Attributes;
  /** Replaces the current span as the parent. */
  parent?: Carrier;
}

/** A span whose work is still running. */
export interface OpenSpan {
  set(attributes: Attributes): void;
  /** Continues the trace in another process. */
  readonly carrier: Carrier;
}

/** Records OpenTelemetry traces and exports them by OTLP. */
export interface Tracing {
  /** Runs the work in a new span. The span ends with the work and records the error that it throws. */
  span<T>(spec: SpanSpec, work: (span: OpenSpan) => Promise<T>): Promise<T>;
  /** Records the span of a workflow's run that has ended; its ids were fixed at the start (see `runTrace`). */
  recordRun(run: {
    name: string;
    trace: Carrier;
    parent?: Carrier;
    start: Date;
    attributes: Attributes;
    error?: string;
  }): void;
  /** The trace of a run that was started outside of any trace. Decides whether the trace is sampled. */
  runTrace(runId: string): Carrier;
  /** Sends the remaining spans. */
  close(): Promise<void>;
}
