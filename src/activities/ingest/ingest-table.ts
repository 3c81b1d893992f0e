import type { UpstreamCatalog } from '../../connectors/spi.ts';
import type { IngestHeartbeat, TableOutcome } from '../../contract/activities.ts';
import type { TableRef } from '../../contract/upstream-names.ts';
import { CodedError } from '../../errors.ts';
import type { SnapshotDescriptor, TableReader } from '../../formats/table-reader.ts';
import { type Snapshot, Snapshot as SnapshotMessage } from '../../generated/reconciler/v1/snapshots.ts';
import { ndvOptions } from '../../stats/statistics-options.ts';
import { missingPolicy } from '../missing/missing-policy.ts';
import { resolveCaptureOptions } from '../options/capture-options.ts';
import { coverageAfter } from '../options/coverage.ts';
import { requestsMade } from '../runtime/request-count.ts';
import type { TableIngest } from './ensure-table.ts';
import { boundTable, ensureTable } from './ensure-table.ts';
import { stagedGroups } from './file-groups.ts';
import { withFooterMetrics } from './footer-metrics.ts';
import { previewTable } from './preview-table.ts';
import { hasNdv, type PutNdv, putNdv } from './put-ndv.ts';
import { putSchemas } from './put-schemas.ts';
import { putSnapshot } from './put-snapshot.ts';
import { ndvColumns, selectedColumns } from './selected-columns.ts';
import type { PutSnapshot } from './snapshot-message.ts';
import { toSnapshotMessage } from './snapshot-message.ts';
import { nearestCaptured, planSnapshots } from './snapshot-plan.ts';
import { finishTable, setCoverage, tableMove, UNFINISHED } from './update-table.ts';

/**
 * Brings one table of the upstream up to date in the catalog: its metadata, the snapshots that are new with what each
 * changed, marks on those that expired; the pointer to the current snapshot moves last. Every write is an upsert, so it can
 * be run again at any point.
 */
export async function ingestTable(input: TableIngest): Promise<TableOutcome> {
  const { source, table, connector, deps } = input;
  await using opened = await source.openTable(table);
  const reader = withFooterMetrics(opened, connector.properties, deps.logger);
  return abortIfTableChanged(source, table, reader, () => ingestState(input, reader));
}

/** A writer may expire what is being read. That is no broken table, and ends ABORTED: its new state can be read. */
export async function abortIfTableChanged<T>(
  source: UpstreamCatalog,
  table: TableRef,
  { descriptor: { fingerprint } }: TableReader,
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof CodedError) || error.code !== 'DATA_LOSS') throw error;
    const now = await source.fingerprint(table, fingerprint).catch(() => fingerprint);
    if (now === fingerprint) throw error;
    throw new CodedError('ABORTED', `The table changed while it was read: ${error.message}`, { cause: error });
  }
}

async function ingestState(input: TableIngest, reader: TableReader): Promise<TableOutcome> {
  const { deps, connector, full, heartbeat, resume } = input;
  if (input.changes) return previewTable(input, reader, input.changes);
  const { descriptor } = reader;
  const capture = resolveCaptureOptions(connector, input);
  const [isMetadataOnly, isCaptureOnly] = [capture.mode === 'METADATA_ONLY', capture.mode === 'CAPTURE_ONLY'];
  const {
    stored,
    hasSnapshots,
    changed: ensured = false,
  } = await (isCaptureOnly ? boundTable(input) : ensureTable(input, reader));
  const { tableId } = stored;
  // Not less than what an attempt before has told: this one may end before it gets as far.
  heartbeat.beat({ snapshots: 0, files: 0, ...resume, bytesRead: reader.bytesRead } satisfies IngestHeartbeat);

  const columnIds = selectedColumns(input, reader);
  // Before the snapshots that need them: their statistics are computed by their own schema's types.
  const schemas = new Set([descriptor.currentSchemaId]);
  if (full || !stored.upstream?.fingerprint) {
    const older = new Set(descriptor.schemas.map(({ id }) => id).filter((id) => !schemas.has(id)));
    await putSchemas(deps, tableId, descriptor, older);
    for (const id of older) schemas.add(id);
  }
  const heads = isCaptureOnly ? stored : descriptor;
  const marks = missingPolicy(connector).action !== 'KEEP';
  const plan = await planSnapshots(deps, hasSnapshots ? tableId : undefined, reader, capture, heads, full, marks);
  const { known, captured, ancestry, expired } = plan;

  // An attempt before may have brought some in: they count for this table all the same.
  let [snapshots, files, rowsWritten] = [resume?.snapshots ?? 0, resume?.filesBefore ?? resume?.files ?? 0, 0];
  // One whose answer did not get here.
  if (!full && resume?.snapshotId !== undefined && captured.has(BigInt(resume.snapshotId))) {
    snapshots += 1;
    files = resume.files;
  }
  /** The newest captured snapshot that catalog and upstream both have: what one without such an ancestor is read against. */
  let newest: bigint | undefined;
  const ndv: PutNdv = {
    deps,
    reader,
    tableId,
    options: ndvOptions(connector.properties),
    known,
    captured,
    ...ndvColumns(input, reader),
    full,
    signal: heartbeat.signal,
    beat: () => heartbeat.beat({ snapshots, files, bytesRead: reader.bytesRead } satisfies IngestHeartbeat),
  };
  const withNdv = !isMetadataOnly && hasNdv(ndv);
  // Until the numbers of distinct values are in the table counts as changed; it can be read before that.
  const isSameState = isCaptureOnly || stored.upstream?.fingerprint === descriptor.fingerprint;
  const coverage = coverageAfter(isSameState ? stored.upstream?.coverage : undefined, capture, plan);
  const fingerprint = withNdv ? UNFINISHED : descriptor.fingerprint;
  const move = isCaptureOnly
    ? undefined
    : tableMove(stored, descriptor, connector.connectorId, input.table, fingerprint, coverage);
  let moved = move === undefined;
  for await (const snapshot of reader.snapshots()) {
    heartbeat.signal.throwIfAborted();
    const { snapshotId, parentSnapshotId } = snapshot;
    const before = known.get(snapshotId);
    if (plan.todo.has(snapshotId)) {
      if (snapshot.schemaId !== undefined && !schemas.has(snapshot.schemaId)) {
        schemas.add(snapshot.schemaId);
        await putSchemas(deps, tableId, descriptor, new Set([snapshot.schemaId]));
      }
      if (isMetadataOnly) {
        rowsWritten += await putMetadata(deps, tableId, snapshot, before);
        if (!before) snapshots += 1;
        heartbeat.beat({ snapshots, files, bytesRead: reader.bytesRead } satisfies IngestHeartbeat);
        continue;
      }
      const verified = before?.captured ? before : undefined;
      const put: PutSnapshot = {
        deps,
        reader,
        tableId,
        snapshot,
        columnIds,
        heartbeat,
        before: verified,
        base: verified ? verified.baseSnapshotId : (nearestCaptured(plan, parentSnapshotId) ?? newest),
        baseReadable: verified?.baseSnapshotId === undefined || ancestry.has(verified.baseSnapshotId),
        // With the last, unless something is to expire before the pointer moves.
        updateTable: snapshotId === plan.last && expired.length === 0 ? move?.request : undefined,
        resume: !verified && resume?.snapshotId === String(snapshotId) ? resume.position : undefined,
        counts: { snapshots, files },
      };
      const groups =
        full || !input.split || put.resume !== undefined ? undefined : await stagedGroups(put, input.split);
      if (groups?.split) {
        const upstreamRequests = requestsMade(input.source.usage);
        return { changed: snapshots > 0, snapshots, files, bytesRead: reader.bytesRead, upstreamRequests, ...groups };
      }
      const done = await putSnapshot({ ...put, groups });
      if (!verified) {
        snapshots += 1;
        files += done.files;
      }
      rowsWritten += done.rowsWritten;
      moved ||= done.tableUpdated;
      captured.add(snapshotId);
    }
    if (captured.has(snapshotId)) newest = snapshotId;
  }

  await expireSnapshots(deps, tableId, expired);
  if (move && !moved) await deps.catalog.tables.updateTable(move.request);
  if (withNdv) {
    await putNdv(ndv);
    if (!isCaptureOnly) await finishTable(deps, tableId, descriptor.fingerprint);
  }
  if (isCaptureOnly) await setCoverage(deps, stored, coverage);
  const changed = snapshots > 0 || rowsWritten > 0 || expired.length > 0 || move?.changes === true || ensured;
  return { changed, snapshots, files, bytesRead: reader.bytesRead, upstreamRequests: requestsMade(input.source.usage) };
}

/** A snapshot without its files. @returns 1 where the catalog had it otherwise */
async function putMetadata(
  { catalog }: TableIngest['deps'],
  tableId: string,
  snapshot: SnapshotDescriptor,
  before: Snapshot | undefined,
): Promise<number> {
  const message = toSnapshotMessage({ tableId, snapshot }, before?.baseSnapshotId);
  const after = await catalog.snapshots.createSnapshot({ snapshot: message, metadataOnly: true });
  // The summary is written as well, but was not kept to be compared.
  const text = (of: Snapshot) => JSON.stringify(SnapshotMessage.toJSON({ ...of, summary: {} }));
  return before && text(before) !== text(after) ? 1 : 0;
}

async function expireSnapshots(deps: TableIngest['deps'], tableId: string, ids: bigint[]): Promise<void> {
  for (let i = 0; i < ids.length; i += 1000) {
    await deps.catalog.ingestion.expireSnapshots({ tableId, snapshotIds: ids.slice(i, i + 1000) });
  }
}
