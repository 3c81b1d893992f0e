import { type EnsureTableRequest, ObjectKind } from '../../../generated/reconciler/internal/v1/bindings.ts';
import { type NewTableRows, TableCreator } from '../bindings/create-table.ts';
import { tableOf } from '../bindings/ensure-table.ts';
import type { TenantDatabase } from '../database/database.ts';
import { pathKey } from '../database/path-key.ts';
import { writeFenced } from '../database/transaction.ts';
import { checkCounts } from '../files/expected-counts.ts';
import type { ParsedChange } from '../files/file-change-row.ts';
import { FileWriter } from '../files/file-writer.ts';
import { type Totals, totalsOf, totalsToText } from '../files/totals.ts';
import { newSnapshotColumns } from '../snapshots/snapshots.ts';
import { newBindingColumns } from '../tables/binding-columns.ts';
import { newTableColumns } from '../tables/tables.ts';
import type { Finish, PutHeader, TableState } from './change-stream.ts';

/** Rolls back what was not new after all. */
class NotNew extends Error {}

/**
 * Creates a table with its only snapshot and all its files in one transaction and few statements, as most tables of a first run are.
 *
 * @throws CodedError FAILED_PRECONDITION for other counts of files, INVALID_ARGUMENT for sums beyond 64 bits
 * @returns rows written; undefined, with nothing done, if any of it exists, or is not as simple: do the same step by step then
 */
export async function createWithSnapshot(
  database: TenantDatabase,
  header: PutHeader,
  finish: Finish,
  changes: readonly ParsedChange[],
): Promise<number | undefined> {
  const totals = totalsOf(changes);
  const rows = rowsOf(database.db.tenant, header, finish, changes, totals);
  if (!rows) return undefined;
  const creator = TableCreator.of(database);
  const writer = FileWriter.of(database);
  try {
    return await writeFenced(database.db, async (_trx, claim) => {
      const created = creator.create(rows, claim);
      if (!created) throw new NotNew();
      const { table_num: tableNum, chain_num: chain } = created;
      const target = { tableNum, snapshotId: rows.snapshot.snapshot_id, ancestry: [{ chain, ord: 1 }], isEmpty: true };
      // If a path is there twice, only one of its files may count in the totals.
      if (!writer.writeNew(target, changes)) throw new NotNew();
      checkCounts(totals, finish, { ...rows.snapshot, base_snapshot_id: null }, header.tableId);
      return 2 * changes.length + 1;
    });
  } catch (error) {
    if (error instanceof NotNew) return undefined;
    throw error;
  }
}

/** The rows to insert; undefined if the table or its snapshot is not as simple. */
function rowsOf(
  tenant: string,
  { ensureTable, snapshot, idempotencyKey }: PutHeader,
  finish: Finish,
  changes: readonly ParsedChange[],
  totals: Totals,
): NewTableRows | undefined {
  const { state } = finish;
  if (!ensureTable?.upstream || !snapshot || !state || finish.groups.length > 0) return undefined;
  if (snapshot.baseSnapshotId !== undefined || changes.some(({ added }) => !added)) return undefined;
  if (!isSameTable(ensureTable, state) || state.columns.current_snapshot_id !== String(snapshot.snapshotId))
    return undefined;
  const staged = newSnapshotColumns(snapshot, idempotencyKey);
  const [version] = ensureTable.schemas;
  return {
    table: { ...newTableColumns(tenant, ensureTable.tableId, tableOf(ensureTable)), ...state.columns },
    binding: newBindingColumns(tenant, ObjectKind.OBJECT_KIND_TABLE, state.binding),
    version: version && { version_id: version.schemaId, version_json: version.json },
    snapshot: { ...staged, complete: 1, published: 1, staged_at: null, totals: totalsToText(totals) },
  };
}

/** Whether an update leaves the table bound to the same upstream table, with no other version of its schema. */
function isSameTable({ connectorId, upstream, schemas }: EnsureTableRequest, { binding, schema }: TableState): boolean {
  const [version, ...others] = schemas;
  return (
    binding.connector_id === connectorId &&
    binding.upstream_path_key === pathKey(upstream?.namespacePath ?? []) &&
    binding.upstream_name === upstream?.name &&
    others.length === 0 &&
    (schema === undefined || (schema.schemaId === version?.schemaId && schema.json === version.json))
  );
}
