import { control } from '../activity-proxies.ts';
import type { Job } from './job.ts';

/** Writes the job's record with the failures that were not written yet: as many as one record takes. */
export async function recordJob(job: Job): Promise<void> {
  const record = job.record();
  await control('records the progress').recordJob({ ...job.claim, record });
  job.recorded(record);
}
