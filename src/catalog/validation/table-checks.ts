import { ObjectKind } from '../../generated/reconciler/internal/v1/bindings.ts';
import type { PartitionSpec, Table, TableSchema, TableUpstream } from '../../generated/reconciler/v1/tables.ts';
import { SnapshotRefType } from '../../generated/reconciler/v1/tables.ts';
import { formatName } from '../../names.ts';
import { leafColumns } from '../../stats/leaf-columns.ts';
import type { Checks } from '../rpc/violations.ts';
import { findBoundId } from '../store/bindings/bindings.ts';
import { getConnector } from '../store/connectors/connectors.ts';
import { alreadyExists } from '../store/database/errors.ts';
import type { Scoped } from '../store/database/scoped.ts';

/** The paths of a table that callers may set. */
export const TABLE_FIELDS = [
  'description',
  'format_version',
  'location',
  'metadata_location',
  'properties',
  'schema',
  'partition_specs',
  'default_spec_id',
  'current_snapshot_id',
  'refs',
] as const;

/** All fields that workers may update. */
export const TABLE_MASK = [
  ...TABLE_FIELDS,
  'upstream',
  'upstream.fingerprint',
  'upstream.fetched_at',
  'upstream.missing_since',
  'upstream.coverage',
] as const;

/** Longer texts do not fit into a message of 8 MiB. */
const MAX_TEXT = 8 * 1024 * 1024;

/**
 * Checks the fields of a table that will be stored. Properties, partition specs and refs are copied from an upstream, which may have any number of
 * them: the size of a message limits them.
 */
export function checkTable(checks: Checks, table: Table, fields: readonly (typeof TABLE_MASK)[number][]): void {
  const isStored = (field: (typeof TABLE_MASK)[number]) => fields.includes(field);
  if (isStored('description')) checks.text(table.description, 'table.description');
  if (isStored('format_version')) checks.that(table.formatVersion >= 0, 'table.format_version', 'is negative');
  if (isStored('location')) checks.text(table.location, 'table.location', { max: 8192 });
  if (isStored('metadata_location')) checks.text(table.metadataLocation, 'table.metadata_location', { max: 8192 });
  if (isStored('schema') && table.schema) checkSchema(checks, table.schema, 'table.schema');
  if (isStored('partition_specs')) checkSpecs(checks, table.partitionSpecs, 'table.partition_specs');
  if (isStored('refs')) checkRefs(checks, table);
  if (isStored('upstream') && table.upstream) {
    const { upstream } = table;
    checks.text(upstream.connectorId, 'table.upstream.connector_id', { max: 512 });
    checks.path(upstream.namespacePath, 'table.upstream.namespace_path', { min: 0, upstream: true });
    checks.upstreamName(upstream.tableName, 'table.upstream.table_name');
    checks.text(upstream.uuid, 'table.upstream.uuid', { max: 1024 });
  }
  if (isStored('upstream') || isStored('upstream.fingerprint')) {
    checks.text(table.upstream?.fingerprint ?? '', 'table.upstream.fingerprint', { max: 16 * 1024 });
  }
  checks.text(table.upstream?.coverage ?? '', 'table.upstream.coverage', { max: 2000 });
  checks.timestamp(table.upstream?.fetchedAt, 'table.upstream.fetched_at');
  checks.timestamp(table.upstream?.missingSince, 'table.upstream.missing_since');
  checks.done();
}

/** Checks that a schema can be parsed. */
export function checkSchema(checks: Checks, schema: TableSchema, field: string): void {
  if (!checks.text(schema.json, `${field}.json`, { min: 1, max: MAX_TEXT })) return;
  try {
    leafColumns(schema.json);
  } catch (error) {
    checks.that(false, `${field}.json`, (error as Error).message);
  }
}

export function checkSpecs(checks: Checks, specs: readonly PartitionSpec[], field: string): void {
  const ids = new Set(specs.map((spec) => spec.specId));
  checks.that(ids.size === specs.length, field, 'has a duplicate spec_id');
}

function checkRefs(checks: Checks, table: Table): void {
  const field = 'table.refs';
  const names = new Set(table.refs.map((ref) => ref.name));
  checks.that(names.size === table.refs.length, field, 'has a duplicate name');
  for (const [index, ref] of table.refs.entries()) {
    checks.text(ref.name, `${field}[${index}].name`, { min: 1, max: MAX_TEXT });
    checks.that(
      ref.type !== SnapshotRefType.SNAPSHOT_REF_TYPE_UNSPECIFIED,
      `${field}[${index}].type`,
      'is required: BRANCH or TAG',
    );
  }
}

/**
 * Checks that no other table is bound to the upstream name.
 *
 * @throws CodedError NOT_FOUND if the connector does not exist, ALREADY_EXISTS if another table is bound to the name
 */
export async function checkBinding(
  db: Scoped,
  upstream: TableUpstream | undefined,
  ownId: string | undefined,
): Promise<void> {
  if (!upstream || upstream.connectorId === '') return;
  const { connectorId, namespacePath, tableName } = upstream;
  const { displayName } = await getConnector(db, connectorId);
  const boundId = await findBoundId(db, ObjectKind.OBJECT_KIND_TABLE, connectorId, { namespacePath, name: tableName });
  if (boundId !== undefined && boundId !== ownId) {
    const name = formatName([...namespacePath, tableName]);
    throw alreadyExists('table', `for '${name}' of connector '${displayName}'`, ` (${boundId})`);
  }
}
