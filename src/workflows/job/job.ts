import type { JobClaim, JobRecord, ResolvedConnector } from '../../contract/activities.ts';
import type { Counters, Progress, ProgressReport, ReconcileRequest, TableFailure } from '../../contract/job.ts';
import { stepNotTakenText, type UnservedQueue } from '../../contract/unserved-queue.ts';
import { causeOf } from '../failure-cause.ts';
import { JobCounts } from './job-counts.ts';
import { jobMessage } from './job-message.ts';

/** Number of failures that the query `failures` returns; the job record has all of them. */
const MAX_FAILURES_KEPT = 50;
/** A record is an activity's input, and must stay well below Temporal's 2 MB for a payload. */
const MAX_FAILURES_PER_RECORD = 200;

const MAX_NAME_LENGTH = 128;

export type FinalState = 'JS_SUCCEEDED' | 'JS_FAILED' | 'JS_CANCELLED';

/** What a job carries over continue-as-new. */
export interface CarriedJob {
  connector?: ResolvedConnector;
  startedAtMs?: number;
  state: Progress['state'];
  phase: string;
  pausedBecause?: string;
  counters: Counters;
  failures: TableFailure[];
  /** Failures that are not in the record yet: hardly ever any. */
  unrecorded: TableFailure[];
  hasRefusedNamespaces: boolean;
  /** Number of steps so far: names of steps are never used again. */
  steps: number;
}

interface JobOptions {
  /** The workflow's id. */
  jobId: string;
  /** The id of its first run. */
  runId: string;
  request: ReconcileRequest;
  carried?: CarriedJob;
  /** Called after each change that people should see. */
  onChange?: (job: Job) => void;
}

function isObject(value: unknown): boolean {
  return typeof value === 'object' && value !== null;
}

function isCounters(counts: unknown): counts is Counters {
  return (
    isObject(counts) && Object.values(counts as object).every((count) => Number.isSafeInteger(count) && count >= 0)
  );
}

/** The job's counters, failures and record. Plain state: nothing in here calls Temporal. */
export class Job {
  readonly id: string;
  readonly request: ReconcileRequest;
  /** The first failures, preceded by what ended the job. */
  readonly failures: TableFailure[];
  /** Some namespaces may not be listed, so whether their tables still exist is unknown. */
  hasRefusedNamespaces: boolean;
  connector?: ResolvedConnector;
  /** The job that is ahead, while this one waits for its connector. */
  waitsFor?: string;
  /** Absent before the job has its connector. */
  claim?: JobClaim;
  /** See `Destination`. */
  unverifiedSinceMs?: number;
  readonly #runId: string;
  readonly #onChange: (job: Job) => void;
  readonly #counts: JobCounts;
  /** What is in flight, by the names of steps. */
  readonly #labels = new Map<string, string>();
  #state: Progress['state'];
  #phase: string;
  /** Why nothing begins at present; undefined if it does. */
  #pausedBecause?: string;
  /** What the job waits for while workers take none of its steps. */
  #waitsForWorker?: { text: string; unserved: NonNullable<Progress['unserved']> };
  #steps: number;
  #startedAtMs?: number;
  #unrecorded: TableFailure[];

  constructor({ jobId, runId, request, carried, onChange = () => {} }: JobOptions) {
    this.id = jobId;
    this.#runId = runId;
    this.request = isObject(request) ? request : ({} as ReconcileRequest);
    this.connector = carried?.connector;
    this.#startedAtMs = carried?.startedAtMs;
    this.failures = carried?.failures ?? [];
    this.hasRefusedNamespaces = carried?.hasRefusedNamespaces ?? false;
    this.#state = carried?.state ?? 'JS_QUEUED';
    this.#phase = carried?.phase ?? 'resolving the connector';
    this.#pausedBecause = carried?.pausedBecause;
    this.#counts = new JobCounts(carried?.counters);
    this.#steps = carried?.steps ?? 0;
    this.#unrecorded = carried?.unrecorded ?? [];
    this.#onChange = onChange;
  }

  get connectorName(): string {
    const { connectorName, connector } = this.request;
    // The input of a workflow that was started by hand may be anything.
    const name = [this.connector?.name, connectorName, connector].find((name) => typeof name === 'string') ?? '';
    return name.slice(0, MAX_NAME_LENGTH);
  }

  get counters(): Counters {
    return this.#counts.total;
  }

  get progress(): Progress {
    return {
      state: this.#state,
      phase: this.#pausedBecause ?? this.#waitsForWorker?.text ?? this.#phase,
      counters: this.counters,
      ...(this.#pausedBecause !== undefined && { paused: true }),
      ...(this.#waitsForWorker && { unserved: this.#waitsForWorker.unserved }),
      inFlight: [...this.#labels.values()],
    };
  }

  get message(): string {
    return jobMessage(this.request, this.progress, this.failures, this.unverifiedSinceMs);
  }

  /** The job waits for its connector, and so for nothing else. */
  queue(phase: string, waitsFor: string): void {
    this.#state = 'JS_QUEUED';
    this.waitsFor = waitsFor;
    this.#pausedBecause = undefined;
    this.#waitsForWorker = undefined;
    this.enterPhase(phase);
  }

  /** The job has its connector. */
  start(): void {
    this.waitsFor = undefined;
    this.#startedAtMs ??= Date.now();
    this.#state = 'JS_RUNNING';
    this.#changed();
  }

  enterPhase(phase: string): void {
    this.#phase = phase;
    this.#changed();
  }

  get isPaused(): boolean {
    return this.#pausedBecause !== undefined;
  }

  /** What is in flight ends, and nothing else begins. @param reason and what to do; undefined after the pause */
  pause(reason: string | undefined): void {
    this.#pausedBecause = reason;
    this.#changed();
  }

  /** @param queue the task queue from which no worker takes the job's steps; undefined after the wait */
  waitForWorker(queue: UnservedQueue | undefined): void {
    if (!queue && !this.#waitsForWorker) return;
    this.#waitsForWorker = queue && {
      text: stepNotTakenText(queue, new Date()),
      unserved: { queue: queue.name, sinceMs: queue.since.getTime() },
    };
    this.#changed();
  }

  /**
   * A step begins that counts something.
   *
   * @param label the table or pack that is in flight until the step ends
   * @returns the step's name
   */
  begin(label?: string): string {
    this.#steps += 1;
    const step = String(this.#steps);
    this.#counts.begin(step);
    if (label !== undefined) this.#labels.set(step, label);
    this.#changed();
    return step;
  }

  /** @param counts absent if the step failed */
  end(step: string, counts?: Counters): void {
    this.#counts.end(step, counts);
    this.#labels.delete(step);
    this.#changed();
  }

  /** Workers report what running steps have counted. Anybody can send the signal, with any input: an error here would stop the workflow. */
  report(report: ProgressReport | undefined): void {
    for (const [step, counts] of Object.entries(report ?? {}))
      if (isCounters(counts)) this.#counts.report(step, counts);
    this.#changed();
  }

  count(counts: Counters): void {
    this.#counts.add(counts);
  }

  /** @param table what failed, as in `TableFailure`; empty if the job itself did */
  fail(table: string, error: unknown): void {
    this.addFailures([{ table, ...causeOf(error), failedAtMs: Date.now() }]);
  }

  addFailures(failures: readonly TableFailure[]): void {
    for (const failure of failures) {
      this.#counts.add({ errors: 1 });
      // The failure that ended the job comes first, so that it is always kept and shown.
      if (failure.table === '') this.failures.unshift(failure);
      else this.keep([failure]);
      this.#unrecorded.push(failure);
    }
  }

  /** Keeps failures that an activity has recorded and counted. */
  keep(failures: readonly TableFailure[]): void {
    this.failures.push(...failures.slice(0, Math.max(0, MAX_FAILURES_KEPT - this.failures.length)));
  }

  finish(state: FinalState): void {
    this.#pausedBecause = undefined;
    this.#waitsForWorker = undefined;
    this.#state = state;
    this.#phase = 'finished';
    this.#labels.clear();
    this.#changed();
  }

  get isFinished(): boolean {
    return !['JS_QUEUED', 'JS_RUNNING'].includes(this.#state);
  }

  /** The record to write, with the first failures that were not written yet; call `recorded` after writing it. */
  record(): JobRecord {
    return {
      jobId: this.id,
      runId: this.#runId,
      connectorId: this.connector?.connectorId ?? '',
      connectorName: this.connectorName,
      message: this.message,
      progress: { ...this.progress, inFlight: [] },
      failures: this.#unrecorded.slice(0, MAX_FAILURES_PER_RECORD),
      startedAtMs: this.#startedAtMs,
      finishedAtMs: this.isFinished ? Date.now() : undefined,
    };
  }

  recorded({ failures }: JobRecord): void {
    const written = new Set(failures);
    this.#unrecorded = this.#unrecorded.filter((failure) => !written.has(failure));
  }

  get hasUnrecordedFailures(): boolean {
    return this.#unrecorded.length > 0;
  }

  /** More failures than one record takes are still to be written. */
  get hasMoreFailures(): boolean {
    return this.#unrecorded.length > MAX_FAILURES_PER_RECORD;
  }

  /** What the next run continues with. No step runs any more. */
  carry(): CarriedJob {
    return {
      connector: this.connector,
      startedAtMs: this.#startedAtMs,
      state: this.#state,
      phase: this.#phase,
      pausedBecause: this.#pausedBecause,
      counters: this.counters,
      failures: this.failures,
      unrecorded: this.#unrecorded,
      hasRefusedNamespaces: this.hasRefusedNamespaces,
      steps: this.#steps,
    };
  }

  #changed(): void {
    this.#onChange(this);
  }
}
