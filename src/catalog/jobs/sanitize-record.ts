import type { RecordJobRequest } from '../../generated/reconciler/internal/v1/reconciliation.ts';
import type { JobChange } from '../../generated/reconciler/v1/jobs.ts';

/** Texts of failures and changes are as long as names and causes are; a client reads a page of them. */
const MAX_LENGTHS = { message: 1024 * 1024, text: 8192 };

/**
 * A job's record with texts that can be stored. They hold what upstreams sent, names and broken files among it: a record that was refused
 * for them would take the whole job with it.
 */
export function sanitizeRecord({ job, failures }: RecordJobRequest): RecordJobRequest {
  return {
    job: job && { ...job, message: sanitize(job.message, MAX_LENGTHS.message), phase: sanitize(job.phase) },
    failures: failures.map((one) => ({ ...one, table: sanitize(one.table), message: sanitize(one.message) })),
  };
}

/** The same of what a dry run would do. */
export function sanitizeChange(change: JobChange): JobChange {
  const { name, destination, reason } = change;
  return { ...change, name: sanitize(name), destination: sanitize(destination), reason: sanitize(reason) };
}

/** Without NUL, which Postgres cannot store. */
function sanitize(text: string, most = MAX_LENGTHS.text): string {
  const plain = text.replaceAll('\0', '\u{fffd}');
  return plain.length > most ? `${plain.slice(0, most - 1)}…` : plain;
}
