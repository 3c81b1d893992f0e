import { createHash } from 'node:crypto';
import type { ReconcileScope } from '../../contract/job.ts';
import type { TableDescriptor, TableReader } from '../../formats/table-reader.ts';
import type { Connector } from '../../generated/reconciler/v1/connectors.ts';
import { selectColumns } from '../../stats/leaf-columns.ts';
import type { PutNdv } from './put-ndv.ts';

interface Selectors {
  connector: Connector;
  scope?: ReconcileScope;
}

/** Field ids that the connector's selector and the run's scope leave; undefined for all. */
export function selectedColumns({ connector, scope }: Selectors, { descriptor }: TableReader): Set<number> | undefined {
  return idsOf([connector.source?.columns ?? [], scope?.columns ?? []], descriptor);
}

/** The same without the run's scope, and what tells one selector from another. */
export function ndvColumns(
  { connector }: Selectors,
  { descriptor }: TableReader,
): Pick<PutNdv, 'columnIds' | 'columnsKey'> {
  const columns = connector.source?.columns ?? [];
  if (columns.length === 0) return { columnsKey: '' };
  const columnsKey = createHash('sha256')
    .update(JSON.stringify([...columns].sort()))
    .digest('hex');
  return { columnIds: idsOf([columns], descriptor), columnsKey };
}

/** Field ids of the current schema that all selectors leave; empty ones leave all. */
function idsOf(all: string[][], { schemas, currentSchemaId }: TableDescriptor): Set<number> | undefined {
  const schema = schemas.find(({ id }) => id === currentSchemaId);
  const selectors = all.filter(({ length }) => length > 0);
  if (!schema || selectors.length === 0) return undefined;
  const [ids = new Set<number>(), also] = selectors.map(
    (names) => new Set(selectColumns(schema.json, names).map(({ id }) => id)),
  );
  return also ? new Set([...ids].filter((id) => also.has(id))) : ids;
}
