import { CodedError } from '../../errors.ts';
import type { TableReader } from '../../formats/table-reader.ts';
import type { Binding } from '../../generated/reconciler/internal/v1/bindings.ts';
import { Table, TableFormat } from '../../generated/reconciler/v1/tables.ts';
import { OBJECT_KIND } from '../missing/bindings.ts';
import { requireNamespace, type TableDestination, tableText } from '../options/destination.ts';
import { isNameTaken, viewDroppedUpstream } from './name-conflict.ts';
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
 * The table in the catalog, with its current schema: created, moved, emptied or bound as needed. In a dry run the catalog does the same in a
 * transaction that it rolls back: only the catalog can tell whether a name is free.
 */
export async function ensureTable(
  input: TableIngest,
  { descriptor }: TableReader,
  destination: TableDestination,
): Promise<EnsureResult> {
  const { deps, connector, upstream, table, namespaces } = input;
  const before = input.changes && (await lookUp(input));
  requireNamespace(destination, table);
  const namespaceId = await namespaces.idOf(destination.namespacePath);
  // A namespace that is still to be created has no names that could be taken.
  if (before && namespaceId === '') return inNewNamespace(input, before);
  const schema = descriptor.schemas.find(({ id }) => id === descriptor.currentSchemaId);
  const request = {
    connectorId: connector.connectorId,
    upstream: { namespacePath: [...table.namespace], name: table.name },
    uuid: descriptor.uuid,
    namespaceId,
    name: destination.name,
    format: TableFormat[`TABLE_FORMAT_${descriptor.format}`],
    location: descriptor.location,
    schemas: schema && [{ schemaId: schema.id, json: schema.json }],
    validateOnly: input.changes !== undefined,
  };
  const ensure = async (replacesView: boolean) => {
    const { table: stored, ...ensured } = await deps.catalog.bindings.ensureTable({ ...request, replacesView });
    return { ...ensured, stored: stored ?? Table.create(), replacesView, before };
  };
  try {
    return await ensure(false);
  } catch (error) {
    if (!isNameTaken(error) || !(await viewDroppedUpstream(deps, upstream, connector.connectorId, table))) throw error;
    return ensure(true);
  }
}

async function inNewNamespace({ deps }: TableIngest, before: Binding): Promise<EnsureResult> {
  const { objectId: tableId } = before;
  const moved = tableId !== '' && unchanged(await deps.catalog.tables.getTable({ tableId }));
  return { ...(moved || { ...unchanged(Table.create()), hasSnapshots: false, made: true }), changed: true, before };
}

function unchanged(stored: Table): EnsureResult {
  return { stored, hasSnapshots: true, made: false, changed: false, emptied: false, replacesView: false };
}

async function lookUp({ deps, connector: { connectorId }, table }: TableIngest): Promise<Binding> {
  const names = [{ namespacePath: [...table.namespace], name: table.name }];
  const request = { connectorId, kind: OBJECT_KIND.tables, names };
  const { bindings } = await deps.catalog.bindings.lookupBindings(request);
  return bindings[0] as Binding;
}
