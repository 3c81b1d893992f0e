import type { CaptureOptions } from '../../contract/activities.ts';
import { CodedError } from '../../errors.ts';
import type { TableReader } from '../../formats/table-reader.ts';
import { type Binding, EnsureTableRequest } from '../../generated/reconciler/internal/v1/bindings.ts';
import { Table, TableFormat } from '../../generated/reconciler/v1/tables.ts';
import { lookUpBindings } from '../missing/bindings.ts';
import { requireNamespace, type TableDestination, tableText } from '../options/destination.ts';
import { isNameTaken, viewDroppedUpstream } from './name-conflict.ts';
import { NewTable } from './new-table.ts';
import type { TableIngest } from './table-ingest.ts';

/** A table in the catalog. In a dry run it may exist only in a transaction that was rolled back, so that its id names nothing. */
export interface EnsureResult {
  stored: Table;
  hasSnapshots: boolean;
  /** It was not in the catalog before. */
  made: boolean;
  /** Ensuring it has made or changed it. */
  changed: boolean;
  /** It replaces another table of the same upstream name, whose contents are deleted. */
  emptied: boolean;
  /** It takes its name from a view that is gone upstream. */
  replacesView: boolean;
  /** The table is created with its first snapshot. */
  newTable?: NewTable;
  /** Only in a dry run: what was bound to the upstream name before. */
  before?: Binding;
}

/** @throws CodedError NOT_FOUND if nothing is bound to the upstream name: files are captured only of tables that the catalog has */
export async function boundTable(input: TableIngest): Promise<EnsureResult> {
  const { objectId: tableId } = await lookUp(input);
  if (tableId) return unchanged(await input.deps.catalog.tables.getTable({ tableId }));
  throw new CodedError(
    'NOT_FOUND',
    `Table ${tableText(input.table)} is no longer in the catalog: none of its files can be captured.`,
  );
}

/**
 * The table in the catalog, with its current schema: created or at least reserved, moved, emptied or bound as needed. In a dry run the catalog does the same in a
 * transaction that it rolls back: only the catalog can tell whether a name is free.
 */
export async function ensureTable(
  input: TableIngest,
  { descriptor }: TableReader,
  destination: TableDestination,
  { mode }: Pick<CaptureOptions, 'mode'>,
): Promise<EnsureResult> {
  const { deps, connector, upstream, table, namespaces } = input;
  const before = input.changes && (await lookUp(input));
  requireNamespace(destination, table);
  const schema = descriptor.schemas.find(({ id }) => id === descriptor.currentSchemaId);
  const request = {
    connectorId: connector.connectorId,
    upstream: { namespacePath: [...table.namespace], name: table.name },
    uuid: descriptor.uuid,
    format: TableFormat[`TABLE_FORMAT_${descriptor.format}`],
    location: descriptor.location,
    schemas: schema && [{ schemaId: schema.id, json: schema.json }],
    partitionSpecs: descriptor.partitionSpecs,
    validateOnly: input.changes !== undefined,
    // Only if nothing has to be sent before the files of its first snapshot.
    reserveIfNew:
      mode === 'METADATA_AND_CAPTURE' &&
      input.changes === undefined &&
      descriptor.schemas.length === 1 &&
      descriptor.currentSnapshotId !== undefined,
  };
  const ensure = async ({ namespaceId, name }: Pick<Table, 'namespaceId' | 'name'>, replacesView = false) => {
    const place = { namespaceId, name, replacesView };
    const { table: stored = Table.create(), ...ensured } = await deps.catalog.bindings.ensureTable({
      ...request,
      ...place,
    });
    const create = { ...request, ...place, reserveIfNew: false, tableId: stored.tableId };
    const newTable = ensured.reserved ? new NewTable(deps, EnsureTableRequest.fromPartial(create)) : undefined;
    return { ...ensured, stored, replacesView, newTable, before };
  };
  const place = { namespaceId: await namespaces.idOf(destination.namespacePath), name: destination.name };
  if (before && place.namespaceId === '') {
    // The namespace is still to be created, so that none of its names is taken. Only the move cannot be tried.
    const { objectId: tableId } = before;
    if (tableId === '') return { ...unchanged(Table.create()), hasSnapshots: false, made: true, changed: true, before };
    return { ...(await ensure(await deps.catalog.tables.getTable({ tableId }))), changed: true };
  }
  try {
    return await ensure(place);
  } catch (error) {
    if (!isNameTaken(error) || !(await viewDroppedUpstream(deps, upstream, connector, table))) throw error;
    return ensure(place, true);
  }
}

function unchanged(stored: Table): EnsureResult {
  return { stored, hasSnapshots: true, made: false, changed: false, emptied: false, replacesView: false };
}

async function lookUp({ deps, connector, table }: TableIngest): Promise<Binding> {
  const [binding] = await lookUpBindings(deps, connector, 'tables', [table]);
  return binding as Binding;
}
