/**
 * Span id of a workflow's run: the last 64 bits of the run's id, which are random. So all workers and all replays use the same span id.
 */
export const runSpanId = (runId: string): string => runId.replaceAll('-', '').slice(-16);
