import { addCounts, type Counters } from '../../contract/job.ts';

/** What is counted again if a step is. */
const SCANNED: ReadonlySet<keyof Counters> = new Set<keyof Counters>([
  'tablesScanned',
  'tablesChanged',
  'tablesUnchanged',
  'tablesFiltered',
  'namespacesFiltered',
]);

/** What a job has counted: steps that have ended, and running ones as far as their workers have reported. No counter ever falls. */
export class JobCounts {
  readonly #ended: Counters;
  readonly #running = new Map<string, Counters>();

  constructor(carried: Counters = {}) {
    this.#ended = { ...carried };
  }

  get total(): Counters {
    const total = { ...this.#ended };
    for (const counts of this.#running.values()) addCounts(total, counts);
    return total;
  }

  add(counts: Counters): void {
    addCounts(this.#ended, counts);
  }

  begin(step: string): void {
    this.#running.set(step, {});
  }

  /** A report of a step that has ended, or that another run began, is too late. */
  report(step: string, counts: Counters): void {
    const before = this.#running.get(step);
    if (before) this.#running.set(step, later(before, counts));
  }

  /** @param counts absent if the step failed: its tables are scanned again, or run by themselves, and are counted then */
  end(step: string, counts?: Counters): void {
    const reported = this.#running.get(step) ?? {};
    this.#running.delete(step);
    const work = Object.entries(reported).filter(([name]) => !SCANNED.has(name as keyof Counters));
    this.add(counts ? later(reported, counts) : Object.fromEntries(work));
  }
}

/**
 * What a step has counted, after another report of it. If its worker died, the next attempt may find what the last one did and report less,
 * or take a table that it changed for unchanged.
 */
function later(before: Counters, after: Counters): Counters {
  const counts = { ...before };
  for (const [name, count = 0] of Object.entries(after) as [keyof Counters, number | undefined][]) {
    counts[name] = Math.max(counts[name] ?? 0, count);
  }
  if (before.tablesChanged || after.tablesChanged) {
    const tables = (after.tablesChanged ?? 0) + (after.tablesUnchanged ?? 0);
    const { tablesChanged = 0 } = counts;
    counts.tablesUnchanged = Math.max(before.tablesUnchanged ?? 0, tables - tablesChanged);
  }
  return counts;
}
