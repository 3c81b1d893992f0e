import type {
  DropOutcome,
  JobRecord,
  MissingOutcome,
  ResolvedConnector,
  ScanPage,
  TableOutcome,
  ViewsOutcome,
} from '../../contract/activities.ts';
import {
  addCounts,
  type Counters,
  newProgress,
  type Progress,
  type ReconcileRequest,
  type TableFailure,
} from '../../contract/job.ts';
import { shellWord } from '../../names.ts';
import { causeOf } from '../failure-cause.ts';
import { jobMessage } from './job-message.ts';

/** Number of failures that the query `failures` returns; the job record has all of them. */
const MAX_FAILURES_KEPT = 50;
/** A record is an activity's input, and must stay well below Temporal's 2 MB for a payload. */
const MAX_FAILURES_PER_RECORD = 200;

type FinalState = 'JS_SUCCEEDED' | 'JS_FAILED' | 'JS_CANCELLED';

/** What a job carries over continue-as-new. */
export interface CarriedJob {
  connector: ResolvedConnector;
  startedAtMs: number;
  progress: Progress;
  failures: TableFailure[];
  hasRefusedNamespaces: boolean;
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

/** The job's counters, failures and record. Plain state: nothing in here calls Temporal. */
export class Job {
  readonly id: string;
  readonly request: ReconcileRequest;
  readonly progress: Progress;
  /** The first failures, preceded by what ended the job. */
  readonly failures: TableFailure[];
  /** Some namespaces may not be listed, so whether their tables still exist is unknown. */
  hasRefusedNamespaces: boolean;
  connector?: ResolvedConnector;
  readonly #runId: string;
  readonly #onChange: (job: Job) => void;
  #startedAtMs?: number;
  #unrecorded: TableFailure[] = [];
  /** The phase to return to after a pause. */
  #phase: string;

  constructor({ jobId, runId, request, carried, onChange = () => {} }: JobOptions) {
    this.id = jobId;
    this.#runId = runId;
    this.request = request;
    this.connector = carried?.connector;
    this.#startedAtMs = carried?.startedAtMs;
    this.failures = carried?.failures ?? [];
    this.hasRefusedNamespaces = carried?.hasRefusedNamespaces ?? false;
    this.progress = carried?.progress ?? newProgress();
    this.#phase = this.progress.phase;
    this.#onChange = onChange;
  }

  get connectorName(): string {
    return this.connector?.name ?? this.request.connector;
  }

  get message(): string {
    return jobMessage(this.request, this.progress, this.failures);
  }

  /** The job has its connector. */
  start(): void {
    this.#startedAtMs = Date.now();
    this.progress.state = 'JS_RUNNING';
  }

  enterPhase(phase: string): void {
    this.#phase = phase;
    if (!this.progress.paused) this.progress.phase = phase;
    this.#changed();
  }

  /** The connector is paused: what is in flight ends, and nothing else begins. */
  pause(): void {
    this.progress.paused = true;
    this.progress.phase = `paused: resume it with reconciler connector resume ${shellWord(this.connectorName)}`;
    this.#changed();
  }

  resume(): void {
    delete this.progress.paused;
    this.enterPhase(this.#phase);
  }

  /** @param label the table or pack that is now being ingested */
  begin(label: string): void {
    this.progress.inFlight.push(label);
    this.#changed();
  }

  end(label: string): void {
    const at = this.progress.inFlight.indexOf(label);
    if (at >= 0) this.progress.inFlight.splice(at, 1);
    this.#changed();
  }

  addPage({ scanned, unchanged, filtered, refused = [], upstreamRequests }: ScanPage): void {
    this.#count({ tablesScanned: scanned, tablesUnchanged: unchanged, tablesFiltered: filtered, upstreamRequests });
    if (refused.length > 0) this.hasRefusedNamespaces = true;
    for (const failure of refused) this.#addFailure(failure);
  }

  /** A table is done. */
  addTable(outcome: TableOutcome): void {
    this.#count({ [outcome.changed ? 'tablesChanged' : 'tablesUnchanged']: 1 });
    this.addPartOfTable(outcome);
  }

  /** Some of a table's snapshots or file groups are done. */
  addPartOfTable({ snapshots, files, bytesRead, upstreamRequests, snapshotsDropped }: TableOutcome): void {
    this.#count({
      snapshotsIngested: snapshots,
      filesIngested: files,
      bytesRead,
      upstreamRequests,
      snapshotsDropped,
    });
  }

  /** The activity has recorded the failures of views already. */
  addViews({ scanned, changed, errors, failures, refused = false, upstreamRequests }: ViewsOutcome): void {
    this.#count({ viewsScanned: scanned, viewsChanged: changed, errors, upstreamRequests });
    this.hasRefusedNamespaces ||= refused;
    this.#keep(failures);
  }

  /** In a dry run, `dropped` of those that are marked would be dropped in the same job. */
  addMissing(kind: 'tables' | 'views', { marked, dropped, upstreamRequests }: MissingOutcome): void {
    this.#count({ [`${kind}Missing`]: marked, [`${kind}Dropped`]: dropped, upstreamRequests });
  }

  addDrops({ tables, views, snapshots, upstreamRequests }: DropOutcome): void {
    this.#count({ tablesDropped: tables, viewsDropped: views, snapshotsDropped: snapshots, upstreamRequests });
  }

  /** @param table what failed, as in `TableFailure`; empty if the job itself did */
  fail(table: string, error: unknown): void {
    this.#addFailure({ table, ...causeOf(error), failedAtMs: Date.now() });
  }

  finish(state: FinalState): void {
    delete this.progress.paused;
    this.progress.state = state;
    this.progress.phase = 'finished';
    this.progress.inFlight = [];
    this.#changed();
  }

  get isFinished(): boolean {
    return !['JS_QUEUED', 'JS_RUNNING'].includes(this.progress.state);
  }

  /** The record to write, with the first failures that were not written yet; call `recorded` after writing it. */
  record(): JobRecord {
    return {
      jobId: this.id,
      runId: this.#runId,
      connectorId: this.connector?.connectorId ?? '',
      connectorName: this.connectorName,
      full: this.request.full ?? false,
      message: this.message,
      progress: { ...this.progress, counters: { ...this.progress.counters }, inFlight: [] },
      failures: this.#unrecorded.slice(0, MAX_FAILURES_PER_RECORD),
      startedAtMs: this.#startedAtMs,
      finishedAtMs: this.isFinished ? Date.now() : undefined,
      request: this.request,
    };
  }

  recorded({ failures }: JobRecord): void {
    const written = new Set(failures);
    this.#unrecorded = this.#unrecorded.filter((failure) => !written.has(failure));
  }

  get hasUnrecordedFailures(): boolean {
    return this.#unrecorded.length > 0;
  }

  /** Only a job that has its connector continues as new. */
  carry(): CarriedJob {
    return {
      connector: this.connector!,
      startedAtMs: this.#startedAtMs!,
      progress: this.progress,
      failures: this.failures,
      hasRefusedNamespaces: this.hasRefusedNamespaces,
    };
  }

  #addFailure(failure: TableFailure): void {
    this.#count({ errors: 1 });
    // The failure that ended the job comes first, so that it is always kept and shown.
    if (failure.table === '') this.failures.unshift(failure);
    else this.#keep([failure]);
    this.#unrecorded.push(failure);
  }

  #keep(failures: TableFailure[]): void {
    this.failures.push(...failures.slice(0, Math.max(0, MAX_FAILURES_KEPT - this.failures.length)));
  }

  #count(counts: Counters): void {
    addCounts(this.progress.counters, counts);
  }

  #changed(): void {
    this.#onChange(this);
  }
}
