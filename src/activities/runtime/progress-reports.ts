import type { Counters, ProgressReport } from '../../contract/job.ts';

/**
 * A step that ends before this time is counted by its outcome. Both times together keep the job's counters at most about ten seconds old: a
 * report costs a signal, and a job at most six in a minute for each worker.
 */
const FIRST_MS = 9_000;
const INTERVAL_MS = 10_000;
const TICK_MS = 1_000;

/** Sends a report to a run of a job. */
export type SendReport = (run: { workflowId: string; runId: string }, report: ProgressReport) => Promise<void>;

/** One step of a worker. */
interface Step {
  began: number;
  counts?: Counters;
  /** The counts that were reported last, as JSON: most reports of progress are new objects with the same counts. */
  sent?: string;
}

/** A job's steps that this worker runs. */
interface JobSteps {
  workflowId: string;
  runId: string;
  steps: Map<string, Step>;
  sentAt: number;
}

/**
 * Reports to each job what its long steps in this worker have counted so far: one signal for all of them, and none if nothing has changed.
 * A report that is lost is followed by another; the outcome of the step is what counts in the end.
 */
export class ProgressReports {
  readonly #send: SendReport;
  readonly #jobs = new Map<string, JobSteps>();
  #timer?: NodeJS.Timeout;

  constructor(send: SendReport) {
    this.#send = send;
  }

  /** A step begins whose counts are to be reported, until it ends. */
  track({ workflowId, runId }: { workflowId: string; runId: string }, name: string) {
    const job = this.#jobs.get(runId) ?? { workflowId, runId, steps: new Map(), sentAt: 0 };
    const step: Step = { began: Date.now() };
    job.steps.set(name, step);
    this.#jobs.set(runId, job);
    this.#timer ??= setInterval(() => this.#tick(), TICK_MS).unref();
    return {
      update: (counts: Counters) => {
        step.counts = counts;
      },
      end: () => {
        if (job.steps.get(name) === step) job.steps.delete(name);
        if (job.steps.size === 0) this.#jobs.delete(runId);
        if (this.#jobs.size > 0) return;
        clearInterval(this.#timer);
        this.#timer = undefined;
      },
    };
  }

  #tick(): void {
    const now = Date.now();
    for (const job of this.#jobs.values()) {
      if (now - job.sentAt < INTERVAL_MS) continue;
      const changed = [...job.steps].flatMap(([name, step]) => {
        const text = step.counts && JSON.stringify(step.counts);
        return text === step.sent ? [] : [{ name, step, text }];
      });
      // The others, which would be ten seconds older in the next report, cost nothing more.
      if (!changed.some(({ step }) => now - step.began >= FIRST_MS)) continue;
      const report: ProgressReport = {};
      for (const { name, step, text } of changed) {
        report[name] = step.counts ?? {};
        step.sent = text;
      }
      job.sentAt = now;
      // The run may have ended. If Temporal is away, the next report says the same again.
      void this.#send(job, report).catch(() => {
        for (const name of Object.keys(report)) {
          const step = job.steps.get(name);
          if (step) step.sent = undefined;
        }
      });
    }
  }
}
