import { ApplicationFailure, CancellationScope, isCancellation } from '@temporalio/workflow';
import type { FileGroup, PackOutcome, TableOutcome } from '../../contract/activities.ts';
import type { TableRef } from '../../contract/upstream-names.ts';
import { ingestOn } from '../activity-proxies.ts';
import { failedWith } from '../failure-cause.ts';
import { HistoryLimit } from '../history-limit.ts';
import { type Run, readOptions } from '../run.ts';
import { Lanes, type RunningTask } from './lanes.ts';
import { type QueuedTable, tableLabel } from './queued-table.ts';

/** Groups of one table at once, over all workers: two workers read more than the catalog can write. Each takes a worker some 50 MiB. */
const MAX_PARALLEL_GROUPS = 4;
/** Per snapshot and job. */
const MAX_SPLITS = 3;
/** How long a table or a pack works before it returns what it has done; … */
const SLICE_SECONDS = 60;
/** … while the job has counted nothing yet, or is about to continue as new. */
const SHORT_SLICE_SECONDS = 10;

/** One lane of a table whose big snapshot is ingested in groups. */
interface GroupLane {
  of: SplitTable;
}

interface SplitTable {
  queued: QueuedTable;
  left: FileGroup[];
  /** How many of its lanes have not ended. */
  lanes: number;
  failure?: unknown;
}

type Pack = TableRef[];
type Task = Pack | QueuedTable | GroupLane;

/** Ingests changed tables, `max_parallel` at once. A table that fails, after its retries, is counted and never ends the job. */
export class IngestLanes {
  readonly #run: Run;
  readonly #history = new HistoryLimit();
  readonly #lanes: Lanes<Task>;
  readonly #scopes = new Map<string, CancellationScope>();
  #isStopped = false;
  /** What was in flight when the history became full: others go on until it has ended. */
  #slow?: Set<RunningTask>;

  constructor(run: Run) {
    this.#run = run;
    this.#lanes = new Lanes<Task>(
      (task) => this.#work(task),
      (running) => running < this.limit && this.mayBegin(),
    );
  }

  get limit(): number {
    return this.#run.controls.maxParallel ?? this.#run.connector.maxParallel;
  }

  /** Whether anything may begin: not while the job is paused, nor when its history is full and nothing slow is in flight. */
  mayBegin(): boolean {
    if (this.#isStopped || !this.#run.gate.isOpen || CancellationScope.current().consideredCancelled) return false;
    if (!this.#slow) return true;
    return !this.#history.isOverfull && [...this.#slow].some((task) => this.#lanes.running.has(task));
  }

  /** Looks how long the history is. @returns whether the run should continue as new as soon as nothing is in flight */
  look(): boolean {
    if (this.#history.look()) this.#slow ??= new Set(this.#lanes.running);
    return this.#history.isFull;
  }

  get isIdle(): boolean {
    return this.#lanes.running.size === 0;
  }

  /** Nothing is queued and nothing in flight. */
  get isDone(): boolean {
    return this.isIdle && this.#lanes.queued.length === 0;
  }

  /** Whether the lanes will need more tables soon. */
  get hasRoom(): boolean {
    return this.#lanes.queued.length < this.limit;
  }

  /** What is queued, for the next run of the workflow. */
  get queued(): (QueuedTable | Pack)[] {
    const tables = this.#lanes.queued.map((task) => (isGroupLane(task) ? restOf(task.of) : task));
    const seen = new Set<TableRef>();
    return tables.filter((task) => {
      if (Array.isArray(task)) return true;
      const isNew = !seen.has(task.table);
      seen.add(task.table);
      return isNew;
    });
  }

  add(tasks: readonly (QueuedTable | Pack)[]): void {
    this.look();
    for (const task of tasks) {
      if (!Array.isArray(task) && task.split) this.#addGroups(task);
      else this.#lanes.add(task);
    }
  }

  /** Something has changed that decides what may begin: starts what may, and ends what is to be skipped. */
  update(): void {
    for (const label of this.#run.controls.skipped) this.#scopes.get(label)?.cancel();
    this.#lanes.pump();
  }

  /** Begins nothing more. */
  stop(): void {
    this.#isStopped = true;
  }

  #work(task: Task): Promise<void> {
    if (Array.isArray(task)) return task.length > 1 ? this.#pack(task) : this.#table({ table: task[0] as TableRef });
    return isGroupLane(task) ? this.#groups(task) : this.#table(task);
  }

  /** One slice of a pack. Tables that fail in it, are to be split, or take long, run by themselves afterwards. */
  async #pack(pack: Pack): Promise<void> {
    const tables = pack.filter((table) => !this.#skips(table));
    if (tables.length === 0) return;
    const label = `${tableLabel(tables[0]!)} … ${tableLabel(tables.at(-1)!)} (${tables.length} tables)`;
    try {
      const {
        done,
        again,
        failures = [],
      } = await this.#slice<PackOutcome>(label, (options) =>
        ingestOn(this.#run.connector, label).ingestTables({ ...options, tables, split: this.#maySplit() }),
      );
      this.#run.job.addFailures(failures);
      const byThemselves = again.map(({ table, cursor, changed }) => ({ table: tables[table]!, cursor, changed }));
      // The activity returned early: its slice was over, the connector was paused, or its worker stopped.
      const rest = tables.slice(done);
      this.#lanes.add(...byThemselves, ...(rest.length > 0 ? [rest] : []));
    } catch (error) {
      if (isCancellation(error)) return;
      if (this.#run.gate.closes(error)) return this.#lanes.addFirst(tables);
      this.#lanes.add(...tables.map((table) => ({ table })));
    }
  }

  /** One slice of a table. */
  async #table(queued: QueuedTable): Promise<void> {
    const { table, cursor } = queued;
    if (this.#skips(table)) return;
    const { job } = this.#run;
    const label = tableLabel(table);
    try {
      const outcome = await this.#slice<TableOutcome>(label, (options) =>
        ingestOn(this.#run.connector, label).ingestTable({
          ...options,
          table,
          cursor,
          split: !queued.isLost && this.#maySplit(),
        }),
      );
      const changed = outcome.changed || queued.changed;
      const next: QueuedTable = { ...queued, cursor: outcome.cursor, ...(changed && { changed }) };
      if (outcome.split) this.#split(next, outcome.split);
      else if (outcome.cursor) this.#lanes.add(next);
      else if (outcome.failure) job.addFailures([outcome.failure]);
      else job.count({ [changed ? 'tablesChanged' : 'tablesUnchanged']: 1 });
    } catch (error) {
      this.#failed(error, table, () => this.#lanes.addFirst(queued));
    }
  }

  #split(queued: QueuedTable, split: NonNullable<QueuedTable['split']>): void {
    const { snapshotId } = split;
    const times = (queued.splits?.[snapshotId] ?? 0) + 1;
    if (times > MAX_SPLITS) throw ApplicationFailure.nonRetryable(splitInVain(snapshotId), 'ABORTED');
    const splits = { ...queued.splits, [snapshotId]: times };
    this.#addGroups({ table: queued.table, cursor: queued.cursor, changed: true, split, splits });
  }

  #addGroups(queued: QueuedTable): void {
    const left = [...(queued.split?.groups ?? [])];
    const lanes = Math.min(left.length, MAX_PARALLEL_GROUPS);
    const of: SplitTable = { queued, left, lanes };
    this.#lanes.addFirst(...Array.from({ length: lanes }, () => ({ of })));
  }

  /** One slice of a group of a table's files. After the first failure no other begins; groups that are done stay. */
  async #groups(lane: GroupLane): Promise<void> {
    const { of: split } = lane;
    const { queued, left } = split;
    const group =
      split.failure === undefined && !this.#run.controls.skipped.has(tableLabel(queued.table)) && left.shift();
    if (group) {
      const { groups: _, ...snapshot } = queued.split!;
      const label = `${tableLabel(queued.table)} · files from ${group.from}`;
      try {
        const { at } = await this.#slice(
          label,
          ({ full: _full, snapshots: _snapshots, mode: _mode, dryRun: _dryRun, ...options }) =>
            ingestOn(this.#run.connector, label).ingestFileGroup({
              ...options,
              table: queued.table,
              ...snapshot,
              group,
            }),
        );
        if (at !== undefined) left.push({ ...group, at });
      } catch (error) {
        if (this.#run.gate.closes(error)) left.unshift(group);
        else split.failure ??= error;
      }
      // After the tables that wait: a huge table must not take all lanes for hours.
      if (left.length > 0 && split.failure === undefined) return this.#lanes.add(lane);
    }
    split.lanes -= 1;
    if (split.lanes > 0) return;
    const { split: _, ...whole } = queued;
    const again = () => this.#lanes.addFirst(whole);
    // ABORTED: the table changed upstream, and is read again.
    if (split.failure === undefined || failedWith(split.failure, 'ABORTED')) again();
    // A part of the snapshot is gone or broken. Without groups, the table leaves out that snapshot.
    else if (failedWith(split.failure, 'DATA_LOSS')) this.#lanes.addFirst({ ...whole, isLost: true });
    else this.#failed(split.failure, queued.table, again);
  }

  #failed(error: unknown, table: TableRef, again: () => void): void {
    const { job, gate, controls } = this.#run;
    if (isCancellation(error) && !controls.skipped.has(tableLabel(table))) return;
    if (gate.closes(error)) again();
    else if (!this.#skips(table)) job.fail(tableLabel(table), error);
  }

  /** @returns whether a person has asked not to ingest the table; that counts as a failure, so that the job does not seem complete */
  #skips(table: TableRef): boolean {
    const label = tableLabel(table);
    const skips = this.#run.controls.skipped.has(label);
    if (skips)
      this.#run.job.fail(label, ApplicationFailure.nonRetryable('skipped by the update skipTable', 'CANCELLED'));
    return skips;
  }

  /** Runs a step that can be continued; it is in flight until its slice is over. */
  async #slice<O extends { counts: TableOutcome['counts'] }>(
    label: string,
    step: (options: ReturnType<typeof readOptions> & { step: string; sliceSeconds: number }) => Promise<O>,
  ): Promise<O> {
    const { job, gate } = this.#run;
    const name = job.begin(label);
    const scope = new CancellationScope();
    this.#scopes.set(label, scope);
    let outcome: O | undefined;
    try {
      const sliceSeconds = this.#sliceSeconds();
      outcome = await scope.run(() => step({ ...readOptions(this.#run), step: name, sliceSeconds }));
      gate.served('ingestTable');
      return outcome;
    } finally {
      // Before the next slice begins.
      this.look();
      this.#scopes.delete(label);
      job.end(name, outcome?.counts);
    }
  }

  #sliceSeconds(): number {
    const { tablesChanged, snapshotsIngested, filesIngested } = this.#run.job.counters;
    const hasCounted = Boolean(tablesChanged || snapshotsIngested || filesIngested);
    return hasCounted && !this.#history.isFull ? SLICE_SECONDS : SHORT_SLICE_SECONDS;
  }

  /** Groups cost events: when the history is nearly full, a big snapshot is ingested in one activity instead. */
  #maySplit(): boolean {
    return !this.#history.isFull;
  }
}

function isGroupLane(task: Task): task is GroupLane {
  return !Array.isArray(task) && 'of' in task;
}

/** What is left of a table whose groups are in part ingested: when all are, the table itself. */
function restOf({ queued, left }: SplitTable): QueuedTable {
  const { split, ...whole } = queued;
  return split && left.length > 0 ? { ...whole, split: { ...split, groups: left } } : whole;
}

function splitInVain(snapshotId: string): string {
  return `Snapshot ${snapshotId} was split ${MAX_SPLITS} times, and the table changed each time. Trigger again when fewer write to it.`;
}
