import {
  type BindingsServiceImplementation,
  ObjectKind,
  type ReadBoundTableResponse,
} from '../../generated/reconciler/internal/v1/bindings.ts';
import type { TableSchema } from '../../generated/reconciler/v1/tables.ts';
import type { ServiceDeps } from '../core/ports.ts';
import { Checks, required } from '../rpc/violations.ts';
import { findBoundId } from '../store/bindings/bindings.ts';
import { getConnector } from '../store/connectors/connectors.ts';
import { date } from '../store/database/json.ts';
import { findSnapshotRow } from '../store/snapshots/snapshots.ts';
import { allSchemas } from '../store/tables/table-schemas.ts';
import { getTableRow, specsOf } from '../store/tables/tables.ts';

/** A message ends with the schema with which it reaches this size. */
const CHUNK_BYTES = 256 * 1024;

/** The RPC ReadBoundTable of the service Bindings. */
export function createReadBoundTable({
  db,
}: Pick<ServiceDeps, 'db'>): Pick<BindingsServiceImplementation, 'readBoundTable'> {
  return {
    async *readBoundTable({ connectorId, upstream }): AsyncGenerator<ReadBoundTableResponse> {
      const name = required(upstream, 'upstream');
      const checks = new Checks();
      checks.id(connectorId, 'connector_id');
      checks.path(name.namespacePath, 'upstream.namespace_path', { min: 0, upstream: true });
      checks.upstreamName(name.name, 'upstream.name');
      checks.done();
      await getConnector(db, connectorId);
      const tableId = await findBoundId(db, ObjectKind.OBJECT_KIND_TABLE, connectorId, name);
      if (tableId === undefined) return;
      const row = await getTableRow(db, tableId);
      const current = row.current_snapshot_id;
      const snapshot = current === null ? undefined : await findSnapshotRow(db, row.table_num, current);
      const state = {
        uuid: row.upstream_uuid ?? '',
        fingerprint: row.fingerprint ?? '',
        partitionSpecs: specsOf(row),
        committedAt: date(snapshot?.committed_at ?? null),
      };
      yield { state, schemas: [] };
      let schemas: TableSchema[] = [];
      let bytes = 0;
      for await (const schema of allSchemas(db, row.table_num)) {
        schemas.push(schema);
        bytes += schema.json.length;
        if (bytes < CHUNK_BYTES) continue;
        yield { state: undefined, schemas };
        schemas = [];
        bytes = 0;
      }
      if (schemas.length > 0) yield { state: undefined, schemas };
    },
  };
}
