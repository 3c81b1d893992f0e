import type { TableDescriptor } from '../../formats/table-reader.ts';
import type { ActivityDeps } from '../runtime/deps.ts';

/** Upserts the versions of the table's schema with these ids. Each snapshot names its own version. */
export async function putSchemas(
  deps: Pick<ActivityDeps, 'catalog'>,
  tableId: string,
  descriptor: TableDescriptor,
  ids: ReadonlySet<number>,
): Promise<void> {
  for (const { id, json } of descriptor.schemas) {
    if (ids.has(id)) await deps.catalog.tables.putTableSchema({ tableId, schema: { schemaId: id, json } });
  }
}
