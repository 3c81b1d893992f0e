import { ActivityFailure, ApplicationFailure } from '@temporalio/workflow';

/** Code and message of what an activity, or this workflow, failed with. */
export function causeOf(error: unknown): { code: string; message: string } {
  const cause = error instanceof ActivityFailure && error.cause ? error.cause : error;
  const message = shorten(cause instanceof Error ? cause.message : String(cause), 1_000);
  if (cause instanceof ApplicationFailure) return { code: cause.type ?? 'INTERNAL', message };
  // Heartbeat and start-to-close timeouts.
  return {
    code: cause instanceof Error && cause.name === 'TimeoutFailure' ? 'DEADLINE_EXCEEDED' : 'INTERNAL',
    message,
  };
}

export const shorten = (text: string, limit: number) => (text.length > limit ? `${text.slice(0, limit - 1)}…` : text);

export const count = (n: number, noun: string) => `${n} ${noun}${n === 1 ? '' : 's'}`;

/** `2 tables and 1 view`; empty where all are 0. */
export const counts = (...parts: [number, string][]) =>
  parts.flatMap(([n, noun]) => (n > 0 ? [count(n, noun)] : [])).join(' and ');
