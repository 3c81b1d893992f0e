/** As in HTTP headers and gRPC metadata: https://www.w3.org/TR/trace-context/ */
export interface Carrier {
  traceparent?: string;
  tracestate?: string;
}

export type Attributes = Record<string, string | number | boolean | string[] | undefined>;

export interface SpanSpec {
  name: string;
  kind: 'client' | 'server' | 'internal';
  attributes?: Attributes;
  /** Instead of the span that is current. */
  parent?: Carrier;
}

/** What can be said of a span while its work goes on. */
export interface OpenSpan {
  set(attributes: Attributes): void;
  /** What carries the trace on to another process. */
  readonly carrier: Carrier;
}

/** OpenTelemetry's traces, exported by OTLP. */
export interface Tracing {
  /** Runs the work in a span of its own, which ends with it; an error that it ends with is the span's. */
  span<T>(spec: SpanSpec, work: (span: OpenSpan) => Promise<T>): Promise<T>;
  /** A workflow's run that has ended: its ids were fixed when it began (see `runTrace`). */
  recordRun(run: {
    name: string;
    trace: Carrier;
    parent?: Carrier;
    start: Date;
    attributes: Attributes;
    error?: string;
  }): void;
  /** What traces begin with at a run that nothing traced has started; whether it is sampled is decided here. */
  runTrace(runId: string): Carrier;
  /** Sends what has not been sent yet. */
  close(): Promise<void>;
}
