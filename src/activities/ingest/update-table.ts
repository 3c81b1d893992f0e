import type { TableRef } from '../../contract/upstream-names.ts';
import type { TableDescriptor } from '../../formats/table-reader.ts';
import {
  SnapshotRefType,
  type Table,
  type UpdateTableRequest,
  UpdateTableRequest as UpdateTableRequestMessage,
} from '../../generated/reconciler/v1/tables.ts';
import type { ActivityDeps } from '../runtime/deps.ts';

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

/** In place of a fingerprint: the table can be read, and the next run goes on with it. No upstream gives it. */
export const UNFINISHED = 'unfinished';

/** What moves a table to the state that was read: current snapshot, refs and fingerprint at once, after all they need is in. */
export interface TableMove {
  request: UpdateTableRequest;
  /** Something besides fingerprint and coverage differs. */
  changes: boolean;
}

/**
 * @param fingerprint the one that was read, or `UNFINISHED`
 * @param coverage what of that state is in then
 * @returns undefined where the table is in that state already
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
      maxSnapshotAgeMs: bigint(ref.maxSnapshotAgeMs),
      maxRefAgeMs: bigint(ref.maxRefAgeMs),
    })),
  };
  const known = stored.upstream?.fingerprint !== '' && !stored.upstream?.missingSince && same(stored, table);
  const isSame = stored.upstream?.fingerprint === fingerprint && stored.upstream.coverage === coverage;
  if (known && isSame) return undefined;
  const request = UpdateTableRequestMessage.fromPartial({
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
  return { request, changes: !known };
}

/** After a move to `UNFINISHED`: from now on the table counts as unchanged while the upstream has this fingerprint. */
export async function finishTable(
  { catalog }: Pick<ActivityDeps, 'catalog'>,
  tableId: string,
  fingerprint: string,
): Promise<void> {
  await catalog.tables.updateTable({
    updateMask: ['upstream.fingerprint'],
    table: { tableId, upstream: { fingerprint } },
  });
}

/** Where only files came in: the table itself stays in the state that it has. */
export async function setCoverage(
  { catalog }: Pick<ActivityDeps, 'catalog'>,
  { tableId, upstream }: Table,
  coverage: string,
): Promise<void> {
  if (upstream?.coverage === coverage) return;
  await catalog.tables.updateTable({
    updateMask: ['upstream.coverage'],
    table: { tableId, upstream: { coverage } },
  });
}

const bigint = (value: number | undefined) => (value === undefined ? undefined : BigInt(value));

function same(stored: Table, now: Partial<Table>): boolean {
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
  return essence(stored) === essence(now);
}
