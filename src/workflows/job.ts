import { defineQuery, setCurrentDetails, setHandler, upsertSearchAttributes, workflowInfo } from '@temporalio/workflow';
import type {
  DropOutcome,
  JobRecord,
  MissingOutcome,
  ResolvedConnector,
  TableOutcome,
  ViewsOutcome,
} from '../contract/activities.ts';
import type { Progress, ReconcileRequest, TableFailure } from '../contract/job.ts';
import { newProgress } from '../contract/job.ts';
import { SEARCH_ATTRIBUTES } from '../contract/search-attributes.ts';
import { shellWord } from '../names.ts';
import { currentDetails } from './current-details.ts';
import { causeOf, count, counts, shorten } from './job-message.ts';
import { PauseGate } from './pause-gate.ts';

/** Failures that the query keeps; all of them are in the job record. */
const FAILURES_KEPT = 50;
/** A record is an activity's input: it must stay well below 2 MB. */
const FAILURES_A_RECORD = 200;
const CAUSES_IN_MESSAGE = 3;
const CAUSE_LIMIT = 300;

export const progressQuery = defineQuery<Progress>('progress');
export const failuresQuery = defineQuery<TableFailure[]>('failures');

/** What a job carries over continue-as-new. */
export interface CarriedJob {
  connector: ResolvedConnector;
  startedAtMs: number;
  progress: Progress;
  failures: TableFailure[];
  refused?: boolean;
}

/** The job's counters, failures and record, as people see them. */
export class Job {
  readonly id = workflowInfo().workflowId;
  readonly #request: ReconcileRequest;
  readonly progress: Progress;
  readonly failures: TableFailure[];
  /** Some namespaces may not be listed: what lies in them is neither there nor gone. */
  refused: boolean;
  #connector?: ResolvedConnector;
  #startedAtMs?: number;
  #unrecorded: TableFailure[] = [];
  readonly pauseGate = new PauseGate(this);
  /** The phase, also while it rests. */
  #doing: string;

  /** The connector's own, if it names one. */
  get taskQueue(): string | undefined {
    return this.#connector?.taskQueue;
  }

  constructor(request: ReconcileRequest, carried?: CarriedJob) {
    this.#request = request;
    this.#connector = carried?.connector;
    this.#startedAtMs = carried?.startedAtMs;
    this.failures = carried?.failures ?? [];
    this.refused = carried?.refused ?? false;
    this.progress = carried?.progress ?? newProgress();
    this.#doing = this.progress.phase;
    setHandler(progressQuery, () => this.progress);
    setHandler(failuresQuery, () => this.failures);
  }

  get started(): boolean {
    return this.progress.state !== 'JS_QUEUED';
  }

  resolved(connector: ResolvedConnector): void {
    this.#connector = connector;
    if (connector.searchAttributes) {
      upsertSearchAttributes([
        { key: SEARCH_ATTRIBUTES.connector, value: connector.name },
        { key: SEARCH_ATTRIBUTES.tenant, value: 'default' },
        { key: SEARCH_ATTRIBUTES.mode, value: this.#request.full ? 'full' : 'incremental' },
      ]);
    }
  }

  start(): void {
    this.#startedAtMs = Date.now();
    this.progress.state = 'JS_RUNNING';
  }

  phase(phase: string): void {
    this.#doing = phase;
    if (!this.progress.paused) this.progress.phase = phase;
    this.show();
  }

  /** The connector is paused: what is in flight comes to its end, and nothing is begun. */
  pause(): void {
    this.progress.paused = true;
    this.progress.phase = `paused: resume it with reconciler connector resume ${shellWord(this.#connector?.name ?? this.#request.connector)}`;
    this.show();
  }

  resume(): void {
    delete this.progress.paused;
    this.phase(this.#doing);
  }

  begin(table: string): void {
    this.progress.inFlight.push(table);
    this.show();
  }

  end(table: string): void {
    const at = this.progress.inFlight.indexOf(table);
    if (at >= 0) this.progress.inFlight.splice(at, 1);
    this.show();
  }

  /** Requests made upstream. */
  asked(requests: number | undefined): void {
    if (requests) this.progress.upstreamRequests = (this.progress.upstreamRequests ?? 0) + requests;
  }

  ingested(outcome: TableOutcome): void {
    if (outcome.changed) this.progress.tablesChanged += 1;
    else this.progress.tablesUnchanged += 1;
    this.addIngested(outcome);
  }

  /** A part of a table. */
  addIngested({ snapshots, files, bytesRead, upstreamRequests, snapshotsDropped }: TableOutcome): void {
    this.asked(upstreamRequests);
    this.progress.snapshotsIngested += snapshots;
    this.progress.filesIngested += files;
    this.progress.bytesRead += bytesRead;
    this.#dropping({ snapshotsDropped });
  }

  /** Their failures are in the job's record already. */
  addIngestedViews({ scanned, changed, errors, failures, refused = false, upstreamRequests }: ViewsOutcome): void {
    this.asked(upstreamRequests);
    this.refused ||= refused;
    this.progress.viewsScanned = (this.progress.viewsScanned ?? 0) + scanned;
    this.progress.viewsChanged = (this.progress.viewsChanged ?? 0) + changed;
    this.progress.errors += errors;
    for (const failure of failures) if (this.failures.length < FAILURES_KEPT) this.failures.push(failure);
  }

  dropped({ tables, views, snapshots, upstreamRequests }: DropOutcome): void {
    this.asked(upstreamRequests);
    this.#dropping({ tablesDropped: tables, viewsDropped: views, snapshotsDropped: snapshots });
  }

  /** Marked missing; in a dry run, `dropped` of them would be dropped in the same job. */
  missing({ marked, dropped, upstreamRequests }: MissingOutcome, views = false): void {
    this.asked(upstreamRequests);
    this.progress[views ? 'viewsMissing' : 'tablesMissing'] = marked;
    this.#dropping({ [views ? 'viewsDropped' : 'tablesDropped']: dropped });
  }

  #dropping(counts: Pick<Progress, 'tablesDropped' | 'viewsDropped' | 'snapshotsDropped'>): void {
    for (const counter of ['tablesDropped', 'viewsDropped', 'snapshotsDropped'] as const) {
      const more = counts[counter];
      if (more !== undefined) this.progress[counter] = (this.progress[counter] ?? 0) + more;
    }
  }

  /** `table` is empty for a failure that is no table's. */
  failed(table: string, error: unknown): void {
    this.failure({ table, ...causeOf(error), failedAtMs: Date.now() });
  }

  /** A namespace that may not be listed. */
  refusal(failure: TableFailure): void {
    this.refused = true;
    this.failure(failure);
  }

  failure(failure: TableFailure): void {
    const { table } = failure;
    this.progress.errors += 1;
    // What ended the job comes first: it must be among those that are kept and told.
    if (table === '') this.failures.unshift(failure);
    else if (this.failures.length < FAILURES_KEPT) this.failures.push(failure);
    this.#unrecorded.push(failure);
  }

  /** Sets the final state. */
  finish(state: Progress['state'], phase = 'finished'): void {
    delete this.progress.paused;
    this.progress.state = state;
    this.progress.phase = phase;
    this.progress.inFlight = [];
    if (this.#connector?.searchAttributes) upsertSearchAttributes([{ key: SEARCH_ATTRIBUTES.outcome, value: state }]);
    this.show();
  }

  /** What the job says of itself. */
  get message(): string {
    return this.#request.dryRun ? `Dry run: ${this.#wouldText() ?? this.#text()}` : this.#text();
  }

  #text(): string {
    const { state, phase, tablesChanged, tablesUnchanged, tablesMissing, errors } = this.progress;
    const { viewsScanned = 0, viewsChanged = 0, viewsMissing = 0 } = this.progress;
    switch (state) {
      case 'JS_SUCCEEDED': {
        const gone = tablesMissing + viewsMissing;
        const missing = (gone > 0 ? `, ${gone} gone upstream` : '') + this.#droppedText();
        if (tablesChanged === 0 && viewsChanged === 0) {
          const views = viewsScanned > 0 ? `, ${count(viewsScanned, 'view')}` : '';
          return `Nothing changed: ${count(tablesUnchanged, 'table')}${views}${missing}`;
        }
        const views = viewsChanged > 0 ? `, ${count(viewsChanged, 'view')} changed` : '';
        return `${count(tablesChanged, 'table')} changed, ${tablesUnchanged} unchanged${views}${missing}`;
      }
      case 'JS_FAILED':
        return `${this.started && this.failures.every(({ table }) => table !== '') ? `Partial failure (${errors})` : 'Failed'}: ${this.#causes()}`;
      case 'JS_CANCELLED':
        return `Cancelled after ${count(tablesChanged, 'changed table')}; what came in stays`;
      default:
        return phase;
    }
  }

  /** The record to write, with the first failures that are not written yet; tell `recorded` when it is. */
  record(): JobRecord {
    const failures = this.#unrecorded.slice(0, FAILURES_A_RECORD);
    return {
      jobId: this.id,
      runId: workflowInfo().firstExecutionRunId,
      connectorId: this.#connector?.connectorId ?? '',
      connectorName: this.#connector?.name ?? this.#request.connector,
      full: this.#request.full ?? false,
      message: this.message,
      progress: { ...this.progress, inFlight: [] },
      failures,
      startedAtMs: this.#startedAtMs,
      request: this.#request,
      finishedAtMs: ['JS_QUEUED', 'JS_RUNNING'].includes(this.progress.state) ? undefined : Date.now(),
    };
  }

  /** The record was written. */
  recorded({ failures }: JobRecord): void {
    const written = new Set(failures);
    this.#unrecorded = this.#unrecorded.filter((failure) => !written.has(failure));
  }

  get hasUnrecorded(): boolean {
    return this.#unrecorded.length > 0;
  }

  carry(): CarriedJob {
    return {
      connector: this.#connector!,
      startedAtMs: this.#startedAtMs!,
      progress: this.progress,
      failures: this.failures,
      refused: this.refused,
    };
  }

  show(): void {
    const name = this.#connector?.name ?? this.#request.connector;
    setCurrentDetails(currentDetails(name, this.progress, this.failures, this.message));
  }

  #droppedText(): string {
    const dropped = this.#dropped();
    return dropped ? `; dropped ${dropped}` : '';
  }

  #dropped(): string {
    const { tablesDropped = 0, viewsDropped = 0, snapshotsDropped = 0 } = this.progress;
    return counts([tablesDropped, 'table'], [viewsDropped, 'view'], [snapshotsDropped, 'expired snapshot']);
  }

  /** Of a dry run that has ended; undefined where it says what any job says. */
  #wouldText(): string | undefined {
    if (this.progress.state === 'JS_CANCELLED') return 'cancelled; its list has what it found until then';
    if (this.progress.state !== 'JS_SUCCEEDED') return undefined;
    const { tablesChanged, tablesMissing, viewsChanged = 0, viewsMissing = 0 } = this.progress;
    const parts = [
      [counts([tablesChanged, 'table'], [viewsChanged, 'view']), 'change'],
      [counts([tablesMissing, 'table'], [viewsMissing, 'view']), 'be missing'],
      [this.#dropped(), 'be dropped'],
    ];
    const would = parts.filter(([what]) => what).map(([what, verb]) => `${what} would ${verb}`);
    return would.join(', ') || 'nothing would change';
  }

  #causes(): string {
    const causes = this.failures
      .slice(0, CAUSES_IN_MESSAGE)
      .map(({ table, message }) => shorten(table ? `${table}: ${message}` : message, CAUSE_LIMIT));
    const more = this.progress.errors - causes.length;
    return causes.join('; ') + (more > 0 ? `; and ${more} more` : '');
  }
}
