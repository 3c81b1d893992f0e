import { createHash } from 'node:crypto';
import type { ReconcileScope } from '../../contract/job.ts';
import type { TableDescriptor, TableReader } from '../../formats/table-reader.ts';
import type { Connector } from '../../generated/reconciler/v1/connectors.ts';
import { selectColumns } from '../../stats/leaf-columns.ts';

interface Selectors {
  connector: Connector;
  scope?: ReconcileScope;
}

/** Field ids that both the connector's selector and the run's scope take; undefined for all. */
export function selectedColumns({ connector, scope }: Selectors, { descriptor }: TableReader): Set<number> | undefined {
  return idsOf([connector.source?.columns ?? [], scope?.columns ?? []], descriptor);
}

/** The columns whose distinct values are counted. */
export interface NdvColumns {
  /**
   * The connector's; undefined for all. A run's own scope does not narrow them: a file is sketched once, and what that left out would be
   * missing for good.
   */
  columnIds?: ReadonlySet<number>;
  /** Identifies the selector: files that were sketched under another key are sketched again. */
  columnsKey: string;
}

export function ndvColumns({ connector }: Selectors, { descriptor }: TableReader): NdvColumns {
  const columns = connector.source?.columns ?? [];
  if (columns.length === 0) return { columnsKey: '' };
  const columnsKey = createHash('sha256')
    .update(JSON.stringify([...columns].sort()))
    .digest('hex');
  return { columnIds: idsOf([columns], descriptor), columnsKey };
}

/** Field ids of the current schema that all selectors take; an empty selector takes all. */
function idsOf(selectors: string[][], { schemas, currentSchemaId }: TableDescriptor): Set<number> | undefined {
  const schema = schemas.find(({ id }) => id === currentSchemaId);
  const narrowing = selectors.filter(({ length }) => length > 0);
  if (!schema || narrowing.length === 0) return undefined;
  const [ids = new Set<number>(), scoped] = narrowing.map(
    (names) => new Set(selectColumns(schema.json, names).map(({ id }) => id)),
  );
  return scoped ? new Set([...ids].filter((id) => scoped.has(id))) : ids;
}
