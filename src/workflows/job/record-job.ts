import { control } from '../activity-proxies.ts';
import type { Job } from './job.ts';

/** Writes the job's record with all failures that were not written yet. */
export async function recordJob(job: Job): Promise<void> {
  do {
    const record = job.record();
    await control('records the progress').recordJob({ ...job.claim, record });
    job.recorded(record);
  } while (job.hasUnrecordedFailures);
}
