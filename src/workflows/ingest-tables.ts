import { ActivityFailure, ApplicationFailure, isCancellation } from '@temporalio/workflow';
import type { TableSplit } from '../contract/activities.ts';
import type { TableRef } from '../contract/upstream-names.ts';
import { formatName } from '../names.ts';
import { ingestOn, withSummary } from './activity-proxies.ts';
import { historyIsFull } from './history-limit.ts';
import type { Job } from './job.ts';
import type { Pool } from './task-pool.ts';

/**
 * Of one table, over all workers: two workers read more than the catalog can write. Each takes a worker some 50 MiB.
 */
const GROUPS_AT_ONCE = 4;
/** Of one snapshot in a job. */
const SPLITS = 3;

/** What all tables of a job are ingested with. */
export type IngestOptions = Pick<
  Parameters<ReturnType<typeof ingestOn>['ingestTable']>[0],
  'connectorId' | 'full' | 'scope' | 'snapshots' | 'mode' | 'dryRun'
>;

/** Ingests some tables in one activity; one that fails there, or is to be split, is run again by itself, with its own retries. */
export async function ingestPack(
  job: Job,
  pool: Pool,
  options: IngestOptions,
  tables: TableRef[],
  left: TableRef[],
): Promise<void> {
  if (tables.length === 1) return ingestOne(job, pool, options, tables[0]!, left);
  const label = `${text(tables[0]!)} … ${text(tables.at(-1)!)} (${tables.length} tables)`;
  job.begin(label);
  let again = tables;
  let rest: TableRef[] = [];
  try {
    const input = { ...options, tables, split: maySplit() };
    const ingest = ingestOn(job).ingestTables;
    const outcomes = await job.pauseGate.whileActive(
      () => ingest.executeWithOptions(withSummary(label, job), [input]),
      label,
    );
    // The connector was paused on the way, or the worker went.
    rest = tables.slice(outcomes.length);
    again = tables.filter((_, i) => outcomes[i]?.failure || outcomes[i]?.split);
    for (const outcome of outcomes) {
      if (outcome.split) job.addIngested(outcome);
      else if (!outcome.failure) job.ingested(outcome);
    }
  } catch (error) {
    if (isCancellation(error)) return;
  } finally {
    job.end(label);
  }
  await ingestSingly(job, pool, options, again, left);
  if (rest.length > 0) await ingestPack(job, pool, options, rest, left);
}

/** Ingests tables by themselves, one after the other. What the history has no room for goes to `left`, for the next run. */
export async function ingestSingly(
  job: Job,
  pool: Pool,
  options: IngestOptions,
  tables: TableRef[],
  left: TableRef[],
): Promise<void> {
  for (const [i, table] of tables.entries()) {
    if (historyIsFull()) {
      left.push(...tables.slice(i));
      return;
    }
    await ingestOne(job, pool, options, table, left);
  }
}

/** Ingests one table. Its failure, after its retries, is counted and the job goes on. Groups without room go to the next run, by `left`. */
async function ingestOne(
  job: Job,
  pool: Pool,
  options: IngestOptions,
  table: TableRef,
  left: TableRef[],
): Promise<void> {
  const label = text(table);
  job.begin(label);
  try {
    /** How often each snapshot was split: more than once only where the table changed meanwhile. */
    const splits = new Map<string, number>();
    for (;;) {
      const input = { ...options, table, split: maySplit() };
      const ingest = ingestOn(job).ingestTable;
      const outcome = await job.pauseGate.whileActive(
        () => ingest.executeWithOptions(withSummary(label, job), [input]),
        label,
      );
      const { split } = outcome;
      if (!split) return job.ingested({ ...outcome, changed: outcome.changed || splits.size > 0 });
      job.addIngested(outcome);
      const times = (splits.get(split.snapshotId) ?? 0) + 1;
      if (times > SPLITS) throw ApplicationFailure.nonRetryable(splitInVain(split.snapshotId), 'ABORTED');
      splits.set(split.snapshotId, times);
      await ingestGroups(job, pool, { ...options, table }, split);
      if (historyIsFull()) {
        left.push(table);
        return;
      }
    }
  } catch (error) {
    if (!isCancellation(error)) job.failed(label, error);
  } finally {
    job.end(label);
  }
}

/** A history holds what a split costs only while it is short; past that the snapshots that are left come in one activity each. */
const maySplit = () => !historyIsFull();

/** Brings in groups of a split snapshot, several at once, while the history has room. The first that fails ends it; those that are in stay. */
async function ingestGroups(
  job: Job,
  pool: Pool,
  { connectorId, scope, table }: IngestOptions & { table: TableRef },
  { groups, ...split }: TableSplit,
): Promise<void> {
  let failure: unknown;
  const tasks = groups.map((group, i) => async () => {
    const summary = withSummary(`${text(table)} · files ${i + 1} of ${groups.length}`, job);
    const input = { connectorId, scope, table, ...split, group };
    try {
      const ingest = ingestOn(job).ingestFileGroup;
      job.addIngested(await job.pauseGate.whileActive(() => ingest.executeWithOptions(summary, [input])));
    } catch (error) {
      failure ??= error;
    }
  });
  await pool.within(tasks, { most: GROUPS_AT_ONCE, goesOn: () => failure === undefined && !historyIsFull() });
  // The table is not what it was: it is looked at anew.
  const anew =
    failure instanceof ActivityFailure &&
    failure.cause instanceof ApplicationFailure &&
    failure.cause.type === 'ABORTED';
  if (failure !== undefined && !anew) throw failure;
}

function splitInVain(snapshotId: string): string {
  return `Snapshot ${snapshotId} was split ${SPLITS} times, and the table changed each time. Trigger again when fewer write to it.`;
}

export function inPacks<T>(items: T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, i) => items.slice(i * size, (i + 1) * size));
}

const text = ({ namespace, name }: TableRef) => formatName([...namespace, name]);
