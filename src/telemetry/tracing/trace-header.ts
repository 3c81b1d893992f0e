/** Header in which the OpenTelemetry interceptors of Temporal's SDKs pass on a trace: `{"traceparent": …}` as JSON. */
export const TRACE_HEADER = '_tracer-data';
