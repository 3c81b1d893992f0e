import { countersOf } from '../../src/contract/progress-message.ts';
import type { ReconcileJob } from '../../src/generated/reconciler/v1/jobs.ts';

/**
 * Measures for how long a job's counters of tables stand still. Counters may be up to ten seconds old, so shorter pauses mean nothing.
 */
export class PauseMeter {
  /** The longest time, in seconds, in which no table was counted as scanned or as changed. */
  longest = 0;
  /** The longest time, in seconds, between two scanned pages: the job had tables left to scan, but only waited. */
  longestOfScan = 0;
  #counted = 0;
  #countedAt = performance.now();
  #scanned = 0;
  #scannedAt = performance.now();

  /** To be called with each state of the job that is read, at least once per second. */
  observe(job: ReconcileJob): void {
    const now = performance.now();
    const { tablesScanned, tablesChanged } = countersOf(job);
    const [scanned, counted] = [Number(tablesScanned), Number(tablesScanned + tablesChanged)];
    this.longest = Math.max(this.longest, (now - this.#countedAt) / 1000);
    if (counted > this.#counted) [this.#counted, this.#countedAt] = [counted, now];
    if (scanned <= this.#scanned) return;
    this.longestOfScan = Math.max(this.longestOfScan, (now - this.#scannedAt) / 1000);
    [this.#scanned, this.#scannedAt] = [scanned, now];
  }
}
