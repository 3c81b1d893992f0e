import { CodedError } from '../../errors.ts';
import { ObjectKind } from '../../generated/reconciler/internal/v1/bindings.ts';
import {
  PartitionSpec,
  SnapshotRef,
  type Table,
  type TableUpstream,
  type UpdateTableRequest,
} from '../../generated/reconciler/v1/tables.ts';
import { maskPaths } from '../rpc/field-mask.ts';
import { Checks, required } from '../rpc/violations.ts';
import { requireClaimOn } from '../store/database/claim-fence.ts';
import { checkEtag } from '../store/database/errors.ts';
import { ms } from '../store/database/json.ts';
import type { Scoped } from '../store/database/scoped.ts';
import type { TableState } from '../store/ingest/change-stream.ts';
import { findSnapshotRow } from '../store/snapshots/snapshots.ts';
import {
  type BindingColumns,
  bindingColumns,
  deleteBinding,
  rebind,
  updateBinding,
} from '../store/tables/binding-columns.ts';
import { putSchema } from '../store/tables/table-schemas.ts';
import { getTableRowToWrite, type StoredTable, updateTableRow } from '../store/tables/tables.ts';
import { checkBinding, checkTable, type TABLE_MASK } from '../validation/table-checks.ts';

type Path = (typeof TABLE_MASK)[number];

/** A validated update and the paths of its mask. */
export interface TableUpdate {
  table: Table;
  paths: readonly Path[];
}

/**
 * @param mask the fields that the caller may update
 * @throws InvalidRequest if a field or the mask is invalid
 */
export function checkedTableUpdate(request: UpdateTableRequest, mask: readonly Path[]): TableUpdate {
  const table = required(request.table, 'table');
  const paths = maskPaths(request.updateMask, mask);
  const checks = new Checks();
  checks.id(table.tableId, 'table.table_id');
  checkTable(checks, table, paths);
  return { table, paths };
}

/**
 * @throws CodedError NOT_FOUND, ABORTED if the etag differs, ALREADY_EXISTS if the upstream table is bound to another table,
 *   FAILED_PRECONDITION if the current snapshot is not complete although the table's coverage states that all are, or if a field of
 *   `upstream` is updated and the table has no upstream
 */
export async function applyTableUpdate(trx: Scoped, { table, paths }: TableUpdate): Promise<void> {
  const stored = await getTableRowToWrite(trx, table.tableId);
  checkEtag('table', table.tableId, table.etag, stored.etag);
  if (paths.includes('upstream')) {
    requireClaimOn(table.upstream?.connectorId || null);
    await checkBinding(trx, table.upstream, stored.table_id);
  }
  if (paths.includes('current_snapshot_id') && table.currentSnapshotId !== undefined) {
    const setsCoverage = paths.includes('upstream') || paths.includes('upstream.coverage');
    const coverage = setsCoverage ? table.upstream?.coverage : stored.coverage;
    if (!coverage) await refuseIncomplete(trx, stored.table_num, table.tableId, table.currentSnapshotId);
  }
  if (paths.includes('schema') && table.schema) await putSchema(trx, stored.table_num, table.schema);
  await updateTableRow(trx, table.tableId, changedColumns(table, paths));
  await applyUpstream(trx, stored, table.upstream, paths);
}

/** The state to which an update moves a table; undefined if it expects an etag, or changes only parts of the binding. */
export function stateAfter({ table, paths }: TableUpdate): TableState | undefined {
  const { upstream, schema, etag } = table;
  if (etag !== '' || !upstream || !paths.includes('upstream')) return undefined;
  const binding = bindingColumns(upstream);
  return { columns: changedColumns(table, paths), binding, schema: paths.includes('schema') ? schema : undefined };
}

/** A table without gaps in its coverage must have its current snapshot, unless that cannot be read. */
async function refuseIncomplete(db: Scoped, tableNum: number, tableId: string, snapshotId: bigint) {
  const row = await findSnapshotRow(db, tableNum, snapshotId);
  if (row?.complete === 1 || row?.unreadable) return;
  throw new CodedError(
    'FAILED_PRECONDITION',
    `snapshot ${snapshotId} of table ${tableId} is not complete, so it cannot become the current snapshot: send its files first`,
  );
}

/** Updates the fields of the binding that the mask names. */
async function applyUpstream(
  trx: Scoped,
  stored: StoredTable,
  upstream: TableUpstream | undefined,
  paths: readonly Path[],
): Promise<void> {
  const { table_id, upstream_name } = stored;
  if (paths.includes('upstream')) {
    if (upstream) await rebind(trx, ObjectKind.OBJECT_KIND_TABLE, table_id, stored, bindingColumns(upstream));
    else await deleteBinding(trx, table_id);
    return;
  }
  const all: Partial<Record<Path, Partial<BindingColumns>>> = {
    'upstream.fingerprint': { fingerprint: upstream?.fingerprint ?? '' },
    'upstream.fetched_at': { fetched_at: ms(upstream?.fetchedAt) },
    'upstream.coverage': { coverage: upstream?.coverage ?? '' },
    'upstream.missing_since': { missing_since: ms(upstream?.missingSince) },
  };
  const changes: Partial<BindingColumns> = Object.assign({}, ...paths.map((path) => all[path]));
  if (Object.keys(changes).length === 0) return;
  if (upstream_name === null) {
    const message = `table ${table_id} has no upstream, so single fields of it cannot be updated: update 'upstream' as a whole`;
    throw new CodedError('FAILED_PRECONDITION', message);
  }
  await updateBinding(trx, table_id, changes);
}

/** The columns of the table itself that a masked update changes. */
function changedColumns(table: Table, paths: readonly Path[]) {
  const all: Partial<Record<Path, object>> = {
    description: { description: table.description },
    format_version: { format_version: table.formatVersion },
    location: { location: table.location },
    metadata_location: { metadata_location: table.metadataLocation },
    properties: { properties: JSON.stringify(table.properties) },
    schema: { schema_id: table.schema?.schemaId ?? null },
    partition_specs: { partition_specs: JSON.stringify(table.partitionSpecs.map(PartitionSpec.toJSON)) },
    default_spec_id: { default_spec_id: table.defaultSpecId },
    current_snapshot_id: { current_snapshot_id: table.currentSnapshotId?.toString() ?? null },
    refs: { refs: JSON.stringify(table.refs.map(SnapshotRef.toJSON)) },
  };
  return Object.assign({}, ...paths.map((path) => all[path]));
}
