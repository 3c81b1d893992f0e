import type { SnapshotDescriptor, TableDescriptor } from '../../formats/table-reader.ts';
import type { ActivityDeps } from '../runtime/deps.ts';

/**
 * Upserts the schema that comes with a snapshot, or that its id refers to. If a partition spec comes with it, the table gets it before the files do
 * that have it: the next slice continues from the specs that the catalog has.
 */
export async function putSchemaOf(
  deps: Pick<ActivityDeps, 'catalog'>,
  tableId: string,
  { schemaId, schema }: SnapshotDescriptor,
  descriptor: TableDescriptor,
): Promise<void> {
  if (schemaId === undefined) return;
  const { partitionSpecs, defaultSpecId } = descriptor;
  if (schema && schema.partitionSpec.specId !== defaultSpecId)
    await deps.catalog.ingestion.updateTable({ updateMask: ['partition_specs'], table: { tableId, partitionSpecs } });
  const schemas = schema ? [schema] : descriptor.schemas;
  await putSchemas(deps, tableId, { schemas }, new Set([schemaId]));
}

/** Upserts the versions of the table's schema with these ids. Each snapshot names its own version. */
export async function putSchemas(
  deps: Pick<ActivityDeps, 'catalog'>,
  tableId: string,
  descriptor: Pick<TableDescriptor, 'schemas'>,
  ids: ReadonlySet<number>,
): Promise<void> {
  for (const { id, json } of descriptor.schemas) {
    if (ids.has(id)) await deps.catalog.tables.putTableSchema({ tableId, schema: { schemaId: id, json } });
  }
}
