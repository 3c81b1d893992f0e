/** Span id of a workflow's run: of the run's id, whose last bits are random, so that every replay and every worker gives the same. */
export const runSpanId = (runId: string): string => runId.replaceAll('-', '').slice(-16);
