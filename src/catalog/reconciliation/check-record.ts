import type { JobFailure, ReconcileJob } from '../../generated/reconciler/v1/jobs.ts';
import { Checks } from '../rpc/violations.ts';

const MAX_FAILURES = 1000;

/** @throws InvalidRequest if a field of a job's record or of its failures is invalid */
export function checkRecord(job: ReconcileJob, failures: readonly JobFailure[] = []): void {
  const checks = new Checks();
  checks.id(job.jobId, 'job.job_id');
  for (const [counter, count] of Object.entries(job.counters ?? {})) {
    checks.count(count, `job.counters.${counter.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)}`);
  }
  checks.timestamp(job.createdAt, 'job.created_at');
  checks.timestamp(job.startedAt, 'job.started_at');
  checks.timestamp(job.finishedAt, 'job.finished_at');
  checks.text(job.requestJson, 'job.request_json', { max: 2 * 1024 * 1024 });
  checks.list(failures, 'failures', MAX_FAILURES);
  for (const [index, failure] of failures.entries()) {
    checks.text(failure.code, `failures[${index}].code`, { min: 1, max: 100 });
    checks.timestamp(failure.failedAt, `failures[${index}].failed_at`);
  }
  checks.done();
}
