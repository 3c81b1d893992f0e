import { JobCounters } from '../../../generated/reconciler/v1/jobs.ts';

const NAMES = Object.keys(JobCounters.create()) as (keyof JobCounters)[];

/** The greater of two values for each counter: counters of a run never decrease, in whatever order its records arrive. */
export function greaterCounters(a: JobCounters, b: JobCounters): JobCounters {
  const greater = { ...a };
  for (const name of NAMES) if (b[name] > a[name]) greater[name] = b[name];
  return greater;
}

export function sameCounters(a: JobCounters, b: JobCounters): boolean {
  return NAMES.every((name) => a[name] === b[name]);
}
