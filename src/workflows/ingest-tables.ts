import { ApplicationFailure, isCancellation } from '@temporalio/workflow';
import type { IngestInput, TableSplit } from '../contract/activities.ts';
import type { TableRef } from '../contract/upstream-names.ts';
import { formatName } from '../names.ts';
import { ingestOn, withSummary } from './activity-proxies.ts';
import { failedWith } from './failure-cause.ts';
import { historyIsFull } from './history-limit.ts';
import { type Run, readOptions } from './run.ts';
import type { Pool } from './task-pool.ts';

/** Groups of one table at once, over all workers: two workers read more than the catalog can write. Each takes a worker some 50 MiB. */
const MAX_PARALLEL_GROUPS = 4;
/** Per snapshot and job. */
const MAX_SPLITS = 3;

/** Ingests changed tables. A failed table is counted, after its retries, and never ends the job. */
export class TableIngest {
  /** Tables that the history has no room for: the next run ingests them by themselves. */
  readonly postponed: TableRef[] = [];
  readonly #run: Run;
  readonly #pool: Pool;
  readonly #options: Omit<IngestInput, 'table' | 'split'>;

  /** @param pool the one that the calls of this class's methods run in */
  constructor(run: Run, pool: Pool) {
    this.#run = run;
    this.#pool = pool;
    this.#options = readOptions(run);
  }

  /** Ingests tables in one activity. Those that fail there, or are to be split, run again by themselves, with retries of their own. */
  async pack(tables: TableRef[]): Promise<void> {
    if (tables.length === 1) return this.#table(tables[0]!);
    const { job, connector, gate } = this.#run;
    const label = `${textOf(tables[0]!)} … ${textOf(tables.at(-1)!)} (${tables.length} tables)`;
    let again = tables;
    let rest: TableRef[] = [];
    job.begin(label);
    try {
      const input = { ...this.#options, tables, split: maySplit() };
      const { ingestTables } = ingestOn(connector);
      const outcomes = await gate.whileActive(
        () => ingestTables.executeWithOptions(withSummary(label, connector), [input]),
        label,
      );
      again = tables.filter((_, i) => outcomes[i]?.failure || outcomes[i]?.split);
      // The activity returned early: the connector was paused, its worker stopped, or no attempt was left.
      rest = tables.slice(outcomes.length);
      for (const outcome of outcomes) {
        if (outcome.split) job.addPartOfTable(outcome);
        else if (!outcome.failure) job.addTable(outcome);
      }
    } catch (error) {
      if (isCancellation(error)) return;
    } finally {
      job.end(label);
    }
    await this.singly(again);
    if (rest.length > 0) await this.pack(rest);
  }

  /** Ingests tables one after the other, each in an activity of its own, as long as the history has room. */
  async singly(tables: TableRef[]): Promise<void> {
    for (const [i, table] of tables.entries()) {
      if (historyIsFull()) {
        this.postponed.push(...tables.slice(i));
        return;
      }
      await this.#table(table);
    }
  }

  async #table(table: TableRef): Promise<void> {
    const { job, connector, gate } = this.#run;
    const label = textOf(table);
    job.begin(label);
    try {
      // More than once per snapshot only if the table changed in the meantime.
      const splits = new Map<string, number>();
      for (;;) {
        const input = { ...this.#options, table, split: maySplit() };
        const { ingestTable } = ingestOn(connector);
        const outcome = await gate.whileActive(
          () => ingestTable.executeWithOptions(withSummary(label, connector), [input]),
          label,
        );
        const { split } = outcome;
        if (!split) return job.addTable({ ...outcome, changed: outcome.changed || splits.size > 0 });
        job.addPartOfTable(outcome);
        const times = (splits.get(split.snapshotId) ?? 0) + 1;
        if (times > MAX_SPLITS) throw ApplicationFailure.nonRetryable(splitInVain(split.snapshotId), 'ABORTED');
        splits.set(split.snapshotId, times);
        await this.#fileGroups(table, split);
        if (historyIsFull()) {
          this.postponed.push(table);
          return;
        }
      }
    } catch (error) {
      if (!isCancellation(error)) job.fail(label, error);
    } finally {
      job.end(label);
    }
  }

  /** Ingests file groups of a split snapshot as long as the history has room. The first failure stops it; groups that are done stay. */
  async #fileGroups(table: TableRef, { groups, ...split }: TableSplit): Promise<void> {
    const { job, connector, gate } = this.#run;
    const { connectorId, scope } = this.#options;
    let failure: unknown;
    const ingestGroup = async (group: TableSplit['groups'][number], i: number) => {
      const summary = withSummary(`${textOf(table)} · files ${i + 1} of ${groups.length}`, connector);
      const input = { connectorId, scope, table, ...split, group };
      const { ingestFileGroup } = ingestOn(connector);
      try {
        job.addPartOfTable(await gate.whileActive(() => ingestFileGroup.executeWithOptions(summary, [input])));
      } catch (error) {
        failure ??= error;
      }
    };
    await this.#pool.runSubtasks(
      groups.map((group, i) => () => ingestGroup(group, i)),
      { limit: MAX_PARALLEL_GROUPS, mayStart: () => failure === undefined && !historyIsFull() },
    );
    // ABORTED: the table changed upstream; the caller reads it again.
    if (failure !== undefined && !failedWith(failure, 'ABORTED')) throw failure;
  }
}

/** Groups cost events: when the history is nearly full, a big snapshot is ingested in one activity instead. */
const maySplit = () => !historyIsFull();

function splitInVain(snapshotId: string): string {
  return `Snapshot ${snapshotId} was split ${MAX_SPLITS} times, and the table changed each time. Trigger again when fewer write to it.`;
}

const textOf = ({ namespace, name }: TableRef) => formatName([...namespace, name]);
