/** Header in which Temporal's SDKs carry a trace, as their interceptors for OpenTelemetry have it: `{"traceparent": …}` as JSON. */
export const TRACE_HEADER = '_tracer-data';
