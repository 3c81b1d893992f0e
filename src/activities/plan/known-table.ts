import type { TableRef } from '../../contract/upstream-names.ts';
import type { KnownTable } from '../../formats/table-reader.ts';
import type { Connector } from '../../generated/reconciler/v1/connectors.ts';
import type { ActivityDeps } from '../runtime/deps.ts';

/** Reads what the catalog has of an upstream table, for the formats that need it to open the table. */
export function knownTable(
  { catalog }: Pick<ActivityDeps, 'catalog'>,
  { connectorId }: Pick<Connector, 'connectorId'>,
  { namespace, name }: TableRef,
): () => Promise<KnownTable | undefined> {
  return async () => {
    const upstream = { namespacePath: [...namespace], name };
    let known: KnownTable | undefined;
    for await (const { state, schemas } of catalog.bindings.readBoundTable({ connectorId, upstream })) {
      if (state) {
        const { committedAt, ...stored } = state;
        known = { ...stored, committedAtMs: committedAt?.getTime(), schemas: [] };
      }
      known?.schemas.push(...schemas.map(({ schemaId, json }) => ({ id: schemaId, json })));
    }
    return known;
  };
}
