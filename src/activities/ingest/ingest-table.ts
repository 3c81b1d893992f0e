import type { TableHeartbeat, TableOutcome } from '../../contract/activities.ts';
import { NotATableError } from '../../formats/not-a-table.ts';
import type { TableReader } from '../../formats/table-reader.ts';
import { collectGarbageSoon } from '../../storage/collect-garbage.ts';
import { knownTable } from '../plan/known-table.ts';
import type { TableIngest } from '../plan/table-ingest.ts';
import { planTable, type TablePlan } from '../plan/table-plan.ts';
import { applyPlan } from './apply-plan.ts';
import { abortIfTableChanged } from './changed-table.ts';
import { withFooterMetrics } from './footer-metrics.ts';
import { passOver } from './not-a-table.ts';
import { recordPlan } from './record-plan.ts';

/** Parsed, metadata takes several times its size. */
const LARGE_METADATA_BYTES = 8 * 1024 * 1024;

/**
 * Brings one table of the upstream up to date in the catalog: plans what is to be done, and does it. A dry run records the plan instead.
 * Every write is an upsert, so that it can be run again at any point.
 */
export async function ingestTable(input: TableIngest): Promise<TableOutcome> {
  const { upstream, table, deps, connector } = input;
  const began = performance.now();
  let reader: TableReader;
  try {
    reader = await upstream.openTable(table, knownTable(deps, connector, table));
  } catch (error) {
    if (error instanceof NotATableError) return passOver(input, error);
    throw error;
  }
  const metadataBytes = reader.bytesRead;
  try {
    const { mayDiffer = false } = reader;
    return await ingestOpened({ ...input, full: input.full || mayDiffer }, reader, began);
  } finally {
    if (metadataBytes > LARGE_METADATA_BYTES) collectGarbageSoon();
  }
}

async function ingestOpened(input: TableIngest, table: TableReader, began: number): Promise<TableOutcome> {
  const { upstream, connector, deps, heartbeat, resume, changes } = input;
  await using opened = table;
  const reader = withFooterMetrics(opened, connector.properties, deps.logger);
  // Not less than a previous attempt has reported: this one may end before it gets as far.
  const counts = { ...resume?.counts, bytesRead: reader.bytesRead };
  heartbeat.beat({ ...resume, counts } satisfies TableHeartbeat);
  // Awaited, because the table is closed, and its memory given to the next one, as soon as this returns.
  return await abortIfTableChanged(upstream, input.table, reader, async () => {
    const plan = await planTable(input, reader);
    if (changes) return recordPlan(plan, input, reader, changes);
    const outcome = await applyPlan(plan, input, reader);
    noteOutcome(plan, input, outcome, began);
    return outcome;
  });
}

/** An unchanged table is only counted; one that needed several slices has changed, except if they only verified it. */
function noteOutcome(
  { ensured, destination }: TablePlan,
  input: TableIngest,
  outcome: TableOutcome,
  began: number,
): void {
  const { outcomes, connector, resume, full, table } = input;
  const { changed, cursor, split, counts } = outcome;
  if (!changed && !ensured.made && (full || !resume?.cursor)) return;
  const result = cursor || split ? 'UNFINISHED' : ensured.made ? 'CREATED' : 'UPDATED';
  outcomes.add({ kind: 'TABLE', result, connector, upstream: table, destination, began, counts });
}
