import type { UpstreamCatalog } from '../../connectors/spi.ts';
import type { TableHeartbeat, TableOutcome } from '../../contract/activities.ts';
import type { TableRef } from '../../contract/upstream-names.ts';
import { CodedError } from '../../errors.ts';
import { NotATableError } from '../../formats/not-a-table.ts';
import type { TableReader } from '../../formats/table-reader.ts';
import type { TableIngest } from '../plan/table-ingest.ts';
import { planTable } from '../plan/table-plan.ts';
import { applyPlan } from './apply-plan.ts';
import { withFooterMetrics } from './footer-metrics.ts';
import { recordPlan } from './record-plan.ts';

/**
 * Brings one table of the upstream up to date in the catalog: plans what is to be done, and does it. A dry run records the plan instead.
 * Every write is an upsert, so that it can be run again at any point.
 */
export async function ingestTable(input: TableIngest): Promise<TableOutcome> {
  const { upstream, table, connector, deps, heartbeat, resume, changes } = input;
  await using opened = await openTable(upstream, table);
  if (!opened) return { changed: false, counts: {} };
  const reader = withFooterMetrics(opened, connector.properties, deps.logger);
  // Not less than a previous attempt has reported: this one may end before it gets as far.
  const counts = { ...resume?.counts, bytesRead: reader.bytesRead };
  heartbeat.beat({ ...resume, counts } satisfies TableHeartbeat);
  return abortIfTableChanged(upstream, table, reader, async () => {
    const plan = await planTable(input, reader);
    return changes ? recordPlan(plan, input, reader, changes) : applyPlan(plan, input, reader);
  });
}

/** @returns undefined for what is no table, such as a view in a folder, which is listed like one */
async function openTable(upstream: UpstreamCatalog, table: TableRef): Promise<TableReader | undefined> {
  try {
    return await upstream.openTable(table);
  } catch (error) {
    if (error instanceof NotATableError) return undefined;
    throw error;
  }
}

/** A writer may expire what is being read. The table is not broken then, and the error is ABORTED: its new state can be read. */
export async function abortIfTableChanged<T>(
  upstream: UpstreamCatalog,
  table: TableRef,
  { descriptor: { fingerprint } }: TableReader,
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof CodedError) || error.code !== 'DATA_LOSS') throw error;
    const current = await upstream.fingerprint(table, fingerprint).catch(() => fingerprint);
    if (current === fingerprint) throw error;
    throw new CodedError('ABORTED', `The table changed while it was read: ${error.message}`, { cause: error });
  }
}
