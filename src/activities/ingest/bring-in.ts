import type { Connector as OpenConnector, TableReader, TableRef } from '../../connectors/spi.ts';
import { CodedError } from '../../errors.ts';
import type { Connector } from '../../generated/reconciler/v1/connectors.ts';
import type { Snapshot } from '../../generated/reconciler/v1/snapshots.ts';
import { type Table, TableFormat } from '../../generated/reconciler/v1/tables.ts';
import { ndvOptions } from '../../stats/statistics-options.ts';
import type { IngestHeartbeat, ReconcileScope, TableOutcome } from '../../workflows/contract.ts';
import type { ActivityDeps } from '../deps.ts';
import { destinationOf, requireNamespace } from '../destination.ts';
import { isNameTaken, viewGaveWay } from '../gave-way.ts';
import type { Heart } from '../heart.ts';
import { missingRules } from '../missing-rules.ts';
import { requestsMade } from '../requests-made.ts';
import type { DestinationNamespaces } from './destination-namespaces.ts';
import { withFooterMetrics } from './footer-metrics.ts';
import { hasNdv, type PutNdv, putNdv } from './put-ndv.ts';
import { putSchemas } from './put-schemas.ts';
import { type PutSnapshot, putSnapshot } from './put-snapshot.ts';
import { ndvColumns, selectedColumns } from './selected-columns.ts';
import { type SplitSize, stagedGroups } from './staged-groups.ts';
import { finishTable, tableMove, UNFINISHED } from './update-table.ts';

export interface BringIn {
  deps: Pick<ActivityDeps, 'catalog' | 'logger'>;
  connector: Connector;
  source: OpenConnector;
  table: TableRef;
  /** Verify snapshots that are in already, and repair what differs. */
  full: boolean;
  scope?: ReconcileScope;
  heart: Heart;
  /** Snapshots that are big are left to file groups. Absent: every one is brought in here. */
  split?: SplitSize;
  /** Where the attempt before stopped. */
  resume?: IngestHeartbeat;
  /** Those that the tables before have asked for. */
  namespaces: DestinationNamespaces;
}

/**
 * Brings one table of the upstream up to date in the catalog: its metadata, the snapshots that are new with what each
 * changed, marks on those that expired; the pointer to the current snapshot moves last. Every write is an upsert, so it can
 * be run again at any point.
 */
export async function bringIn(input: BringIn): Promise<TableOutcome> {
  const { source, table, connector, deps } = input;
  await using opened = await source.openTable(table);
  const reader = withFooterMetrics(opened, connector.properties, deps.logger);
  return orMoved(source, table, reader, () => bringInState(input, reader));
}

/** A writer may expire what is being read. That is no broken table, and ends ABORTED: its new state can be read. */
export async function orMoved<T>(
  source: OpenConnector,
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

async function bringInState(input: BringIn, reader: TableReader): Promise<TableOutcome> {
  const { deps, connector, full, heart, resume } = input;
  const { descriptor } = reader;
  const { stored, hasSnapshots } = await ensureTable(input, reader);
  const { tableId } = stored;
  // Not less than what an attempt before has told: this one may end before it gets as far.
  heart.beat({ snapshots: 0, files: 0, ...resume, bytesRead: reader.bytesRead } satisfies IngestHeartbeat);

  const columnIds = selectedColumns(input, reader);
  // Before the snapshots that need them: their statistics are computed by their own schema's types.
  const schemas = new Set([descriptor.currentSchemaId]);
  if (full || !stored.upstream?.fingerprint) {
    const older = new Set(descriptor.schemas.map(({ id }) => id).filter((id) => !schemas.has(id)));
    await putSchemas(deps, tableId, descriptor, older);
    for (const id of older) schemas.add(id);
  }
  const known = hasSnapshots ? await knownSnapshots(deps, tableId) : new Map<bigint, Snapshot>();

  // An attempt before may have brought some in: they count for this table all the same.
  let [snapshots, files, rowsWritten] = [resume?.snapshots ?? 0, resume?.filesBefore ?? resume?.files ?? 0, 0];
  // One whose answer did not get here.
  if (!full && resume?.snapshotId !== undefined && known.has(BigInt(resume.snapshotId))) {
    snapshots += 1;
    files = resume.files;
  }
  const upstreamIds = new Set<bigint>();
  /** The newest snapshot that catalog and upstream both have: what one with an expired parent is read against. */
  let newest: bigint | undefined;
  const ndv: PutNdv = {
    deps,
    reader,
    tableId,
    options: ndvOptions(connector.properties),
    known,
    ...ndvColumns(input, reader),
    full,
    signal: heart.signal,
    beat: () => heart.beat({ snapshots, files, bytesRead: reader.bytesRead } satisfies IngestHeartbeat),
  };
  const withNdv = hasNdv(ndv);
  // Until the numbers of distinct values are in the table counts as changed; it can be read before that.
  const move = tableMove(
    stored,
    descriptor,
    connector.connectorId,
    input.table,
    withNdv ? UNFINISHED : descriptor.fingerprint,
  );
  let moved = move === undefined;
  for await (const [snapshot, last] of withLast(reader.snapshots())) {
    heart.signal.throwIfAborted();
    const { snapshotId, parentSnapshotId } = snapshot;
    const before = known.get(snapshotId);
    if (!before || full) {
      if (snapshot.schemaId !== undefined && !schemas.has(snapshot.schemaId)) {
        schemas.add(snapshot.schemaId);
        await putSchemas(deps, tableId, descriptor, new Set([snapshot.schemaId]));
      }
      const parent = parentSnapshotId !== undefined && upstreamIds.has(parentSnapshotId) ? parentSnapshotId : newest;
      const put: PutSnapshot = {
        deps,
        reader,
        tableId,
        snapshot,
        columnIds,
        heart,
        before,
        base: before ? before.baseSnapshotId : parent,
        baseReadable: before?.baseSnapshotId === undefined || upstreamIds.has(before.baseSnapshotId),
        // With the last, unless something is to expire before the pointer moves.
        updateTable: last && [...known.keys()].every((id) => upstreamIds.has(id)) ? move?.request : undefined,
        resume: !before && resume?.snapshotId === String(snapshotId) ? resume.position : undefined,
        counts: { snapshots, files },
      };
      const groups =
        full || !input.split || put.resume !== undefined ? undefined : await stagedGroups(put, input.split);
      if (groups?.split) {
        const upstreamRequests = requestsMade(input.source.usage);
        return { changed: snapshots > 0, snapshots, files, bytesRead: reader.bytesRead, upstreamRequests, ...groups };
      }
      const done = await putSnapshot({ ...put, groups });
      if (!before) {
        snapshots += 1;
        files += done.files;
      }
      rowsWritten += done.rowsWritten;
      moved ||= done.tableUpdated;
    }
    upstreamIds.add(snapshotId);
    newest = snapshotId;
  }

  const keeps = missingRules(connector).action === 'KEEP';
  const expired = keeps ? [] : [...known.keys()].filter((id) => !upstreamIds.has(id));
  await expireSnapshots(deps, tableId, expired);
  if (move && !moved) await deps.catalog.tables.updateTable(move.request);
  if (withNdv) {
    await putNdv(ndv);
    await finishTable(deps, tableId, descriptor.fingerprint);
  }
  const changed = snapshots > 0 || rowsWritten > 0 || expired.length > 0 || move?.changes === true;
  return { changed, snapshots, files, bytesRead: reader.bytesRead, upstreamRequests: requestsMade(input.source.usage) };
}

/** Each with whether it is the last one. */
async function* withLast<T>(items: AsyncIterable<T>): AsyncGenerator<[item: T, last: boolean]> {
  let held: { item: T } | undefined;
  for await (const item of items) {
    if (held) yield [held.item, false];
    held = { item };
  }
  if (held) yield [held.item, true];
}

/** The table in the catalog, with its current schema. */
async function ensureTable(
  input: BringIn,
  { descriptor }: TableReader,
): Promise<{ stored: Table; hasSnapshots: boolean }> {
  const { deps, connector, source, table, namespaces } = input;
  const destination = destinationOf(connector, table);
  requireNamespace(destination, table);
  const schema = descriptor.schemas.find(({ id }) => id === descriptor.currentSchemaId);
  const request = {
    connectorId: connector.connectorId,
    upstream: { namespacePath: [...table.namespace], name: table.name },
    uuid: descriptor.uuid,
    namespaceId: await namespaces.idOf(destination.namespacePath),
    name: destination.name,
    format: descriptor.format === 'DELTA' ? TableFormat.TABLE_FORMAT_DELTA : TableFormat.TABLE_FORMAT_ICEBERG,
    location: descriptor.location,
    schemas: schema && [{ schemaId: schema.id, json: schema.json }],
  };
  const ensure = async (replacesView: boolean) => {
    const answer = await deps.catalog.reconciliation.ensureTable({ ...request, replacesView });
    return { stored: answer.table as Table, hasSnapshots: answer.hasSnapshots };
  };
  try {
    return await ensure(false);
  } catch (error) {
    if (!isNameTaken(error) || !(await viewGaveWay(deps, source, connector.connectorId, table))) throw error;
    return ensure(true);
  }
}

/** Complete snapshots that are not marked expired: at most as many as the upstream's metadata ever held at once. */
async function knownSnapshots(deps: BringIn['deps'], tableId: string): Promise<Map<bigint, Snapshot>> {
  const known = new Map<bigint, Snapshot>();
  let pageToken = '';
  do {
    const page = await deps.catalog.snapshots.listSnapshots({ tableId, pageSize: 1000, pageToken });
    for (const snapshot of page.snapshots) known.set(snapshot.snapshotId, { ...snapshot, summary: {} });
    pageToken = page.nextPageToken;
  } while (pageToken);
  return known;
}

async function expireSnapshots(deps: BringIn['deps'], tableId: string, ids: bigint[]): Promise<void> {
  for (let i = 0; i < ids.length; i += 1000) {
    await deps.catalog.snapshots.expireSnapshots({ tableId, snapshotIds: ids.slice(i, i + 1000) });
  }
}
