import type { TableRef } from '../../contract/upstream-names.ts';
import type { TableDescriptor } from '../../formats/table-reader.ts';
import {
  SnapshotRefType,
  type Table,
  type UpdateTableRequest,
  UpdateTableRequest as UpdateTableRequestMessage,
} from '../../generated/reconciler/v1/tables.ts';

const MASK = [
  'format_version',
  'location',
  'metadata_location',
  'properties',
  'schema',
  'partition_specs',
  'default_spec_id',
  'current_snapshot_id',
  'refs',
  'upstream',
];

/** Moves a table to the state that was read: current snapshot, refs and fingerprint in one step, after everything they need is in. */
export interface TableMove {
  readonly request: UpdateTableRequest;
  /** Something other than fingerprint and coverage differs. */
  changes: boolean;
}

/**
 * @param fingerprint the one that was read, or `UNFINISHED`
 * @param coverage what the catalog has of that state then
 * @returns undefined if the table is in that state already
 */
export function tableMove(
  stored: Table,
  descriptor: TableDescriptor,
  connectorId: string,
  upstream: TableRef,
  fingerprint: string,
  coverage: string,
): TableMove | undefined {
  const schema = descriptor.schemas.find(({ id }) => id === descriptor.currentSchemaId);
  const table: Partial<Table> = {
    tableId: stored.tableId,
    formatVersion: descriptor.formatVersion,
    location: descriptor.location,
    metadataLocation: descriptor.metadataLocation,
    properties: descriptor.properties,
    schema: schema && { schemaId: schema.id, json: schema.json, columns: [] },
    partitionSpecs: descriptor.partitionSpecs,
    defaultSpecId: descriptor.defaultSpecId,
    currentSnapshotId: descriptor.currentSnapshotId,
    refs: descriptor.refs.map((ref) => ({
      ...ref,
      type: ref.type === 'tag' ? SnapshotRefType.SNAPSHOT_REF_TYPE_TAG : SnapshotRefType.SNAPSHOT_REF_TYPE_BRANCH,
    })),
  };
  const isKnown = stored.upstream?.fingerprint !== '' && !stored.upstream?.missingSince && isSame(stored, table);
  const isRecorded = stored.upstream?.fingerprint === fingerprint && stored.upstream.coverage === coverage;
  if (isKnown && isRecorded) return undefined;
  return {
    changes: !isKnown,
    // When it is sent, reading the snapshots may have found more partition specs.
    get request() {
      return UpdateTableRequestMessage.fromPartial({
        updateMask: MASK,
        table: {
          ...table,
          upstream: {
            connectorId,
            namespacePath: [...upstream.namespace],
            tableName: upstream.name,
            uuid: descriptor.uuid,
            fingerprint,
            coverage,
            fetchedAt: new Date(),
          },
        },
      });
    },
  };
}

function isSame(stored: Table, read: Partial<Table>): boolean {
  const essence = (table: Partial<Table>) =>
    JSON.stringify(
      [
        table.formatVersion,
        table.location,
        table.metadataLocation,
        Object.entries(table.properties ?? {}).sort(),
        table.schema?.schemaId,
        table.schema?.json,
        [...(table.partitionSpecs ?? [])].sort((a, b) => a.specId - b.specId),
        table.defaultSpecId,
        table.currentSnapshotId,
        [...(table.refs ?? [])]
          .sort((a, b) => (a.name < b.name ? -1 : 1))
          .map((r) => [r.name, r.type, r.snapshotId, r.minSnapshotsToKeep, r.maxSnapshotAgeMs, r.maxRefAgeMs]),
      ],
      (_, value) => (typeof value === 'bigint' ? String(value) : value),
    );
  return essence(stored) === essence(read);
}
