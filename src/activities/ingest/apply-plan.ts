import type { TableOutcome } from '../../contract/activities.ts';
import { UNFINISHED } from '../../contract/fingerprints.ts';
import type { TableReader } from '../../formats/table-reader.ts';
import type { UpdateTableRequest } from '../../generated/reconciler/v1/tables.ts';
import type { TableIngest } from '../plan/table-ingest.ts';
import type { TableMove } from '../plan/table-move.ts';
import type { TablePlan } from '../plan/table-plan.ts';
import { IngestProgress } from './ingest-progress.ts';
import { ingestSnapshots } from './ingest-snapshots.ts';
import { putNdv } from './put-ndv.ts';
import { putSchemas } from './put-schemas.ts';
import { finishTable, setCoverage } from './update-table.ts';

/** Number of snapshots that one call marks: the catalog's limit. */
const EXPIRE_PAGE = 1000;

/**
 * Applies the plan in an order in which readers never see half of it: schemas, snapshots with their file changes, marks on expired
 * snapshots, and finally the pointer to the current snapshot.
 *
 * @returns with `split` if a snapshot is big, or with `cursor` if the slice is over: what is left is done when the table is ingested again
 */
export async function applyPlan(plan: TablePlan, input: TableIngest, reader: TableReader): Promise<TableOutcome> {
  const { deps } = input;
  const { descriptor } = reader;
  const { stored } = plan.ensured;
  const { tableId } = stored;
  // Before the snapshots that need them: statistics are computed by the types of a snapshot's own schema.
  await putSchemas(deps, tableId, descriptor, plan.olderSchemaIds);
  const progress = new IngestProgress(input, reader, plan.snapshots);
  const { captured, moved, split, isComplete } = await ingestSnapshots(plan, input, reader, progress);
  if (split) return { ...progress.outcome(false), split, cursor: progress.place };
  if (!isComplete) return { ...progress.outcome(false), cursor: progress.place ?? {} };

  await expireSnapshots(deps, tableId, plan.snapshots.expired);
  const isCurrentLost = lacksCurrent(plan, reader, captured);
  if (plan.move && !moved) await deps.catalog.ingestion.updateTable(requestOf(plan.move, isCurrentLost));
  if (plan.ndv) {
    const { messages } = plan.snapshots;
    const { signal } = input.heartbeat;
    const beat = () => progress.beat();
    // The catalog orders files by their hashes: new ones may come before the page at which the last slice stopped.
    const hasNewFiles = plan.snapshotCounts.added + plan.snapshotCounts.captured > 0;
    const sketches = hasNewFiles ? undefined : input.resume?.cursor?.sketches;
    const { isOver } = input.heartbeat;
    const put = { deps, reader, tableId, messages, captured, ...plan.ndv, full: plan.full, signal, beat, isOver };
    const next = await putNdv(put, sketches);
    if (next !== undefined) return { ...progress.outcome(false), cursor: { ...progress.place, sketches: next } };
    if (plan.capture.mode !== 'CAPTURE_ONLY' && !isCurrentLost)
      await finishTable(deps, tableId, descriptor.fingerprint);
  }
  if (plan.capture.mode === 'CAPTURE_ONLY' && !isCurrentLost) await setCoverage(deps, stored, plan.coverage);
  const outcome = progress.lastOutcome(plan.changes);
  if (plan.isCutByDefault) outcome.counts.tablesCut = 1;
  const { failure } = outcome;
  if (failure)
    deps.logger.warn({ table: failure.table, code: failure.code, reason: failure.message }, 'snapshots cannot be read');
  return outcome;
}

/** Whether the current snapshot could not be read. */
function lacksCurrent({ capture, snapshots }: TablePlan, { descriptor }: TableReader, captured: ReadonlySet<bigint>) {
  const { currentSnapshotId: id } = descriptor;
  return capture.mode !== 'METADATA_ONLY' && id !== undefined && snapshots.todo.has(id) && !captured.has(id);
}

/** A table without its current snapshot counts as changed: every job tries to read it, and reports it. */
function requestOf({ request }: TableMove, isCurrentLost: boolean): UpdateTableRequest {
  const { table } = request;
  if (!isCurrentLost || !table?.upstream) return request;
  return { ...request, table: { ...table, upstream: { ...table.upstream, fingerprint: UNFINISHED } } };
}

async function expireSnapshots({ catalog }: TableIngest['deps'], tableId: string, ids: readonly bigint[]) {
  for (let i = 0; i < ids.length; i += EXPIRE_PAGE) {
    await catalog.ingestion.expireSnapshots({ tableId, snapshotIds: ids.slice(i, i + EXPIRE_PAGE) });
  }
}
