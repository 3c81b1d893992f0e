import { countersOf } from '../../contract/progress-message.ts';
import { ReconcileJob } from '../../generated/reconciler/v1/jobs.ts';

/** A job as JSON lines contain it: its counters are fields of the job, so that scripts can read `.tablesChanged`. */
export const JobJson = {
  toJSON(job: ReconcileJob): unknown {
    const { counters, ...json } = ReconcileJob.toJSON(job) as { counters?: object };
    return { ...json, ...counters };
  },

  fields({ counters, ...job }: ReconcileJob): object {
    return { ...job, ...countersOf({ counters }) };
  },
};
