import type { RecordJobRequest } from '../../generated/reconciler/internal/v1/reconciliation.ts';
import type { JobChange, JobOutcome } from '../../generated/reconciler/v1/jobs.ts';
import { escapeControls } from '../../text.ts';

/** Maximum length, in characters, of a job's message and of the texts of failures and changes. A client reads a page of the latter. */
const MAX_LENGTHS = { message: 1024 * 1024, text: 8192 };

/**
 * A job's record with texts that can be stored. The texts may contain anything that an upstream sent, such as names or parts of broken
 * files. Refusing a record because of them would lose the whole job.
 */
export function sanitizeRecord({ job, failures }: RecordJobRequest): RecordJobRequest {
  return {
    job: job && { ...job, message: readable(job.message, MAX_LENGTHS.message), phase: readable(job.phase) },
    failures: failures.map((failure) => ({
      ...failure,
      table: sanitize(failure.table),
      message: readable(failure.message),
    })),
  };
}

/** A change of a dry run with texts that can be stored. */
export function sanitizeChange(change: JobChange): JobChange {
  const { name, destination, reason } = change;
  return { ...change, name: sanitize(name), destination: sanitize(destination), reason: readable(reason) };
}

/** An outcome with texts that can be stored. */
export function sanitizeOutcome(outcome: JobOutcome): JobOutcome {
  const { name, destination } = outcome;
  return { ...outcome, name: sanitize(name), destination: sanitize(destination) };
}

/** For texts that only people read. Names stay as they are, since jobs look for them. */
const readable = (text: string, maxLength?: number) => sanitize(escapeControls(text), maxLength);

/** Replaces NUL characters, which Postgres cannot store, and truncates the text. */
function sanitize(text: string, maxLength = MAX_LENGTHS.text): string {
  const plain = text.replaceAll('\0', '\u{fffd}');
  return plain.length > maxLength ? `${plain.slice(0, maxLength - 1)}…` : plain;
}
