import { gunzipSync } from 'node:zlib';
import { CodedError } from '../../errors.ts';
import { leafColumns } from '../../stats/leaf-columns.ts';
import { THETA_TYPE } from '../../stats/ndv/compact-theta.ts';
import { mebibytes } from '../../text.ts';
import { JsonFields, unexpectedValue } from '../json/json-fields.ts';
import { losslessJson, parseLosslessJsonFile } from '../json/lossless-json.ts';
import { fileError, MalformedError } from '../malformed.ts';
import { NotATableError } from '../not-a-table.ts';
import type { ColumnNdv, PartitionSpec, SketchFile, SnapshotDescriptor, SnapshotRef } from '../table-reader.ts';

/** A table's metadata file (Iceberg spec, "Table Metadata Fields"). All format versions are converted to the newest one. */
export interface TableMetadata {
  formatVersion: number;
  /** The table's UUID. Version 1 may lack it; then it is the location. */
  uuid: string;
  location: string;
  lastUpdatedMs: number;
  properties: Record<string, string>;
  schemas: { id: number; json: string }[];
  currentSchemaId: number;
  partitionSpecs: PartitionSpec[];
  defaultSpecId: number;
  currentSnapshotId?: bigint;
  refs: SnapshotRef[];
  snapshots: SnapshotMetadata[];
  /** Puffin files with theta sketches, for snapshots that have not expired. */
  sketchFiles: SketchFile[];
}

export interface SnapshotMetadata extends SnapshotDescriptor {
  /** Present if a version 1 snapshot lists its manifests itself. */
  manifests?: string[];
}

/**
 * Limit for the file and for its decompressed content. The metadata of a table with 100,000 snapshots has about 60 MB. A JavaScript string can
 * have at most 512 MiB, and the parsed value takes several times its size.
 */
export const MAX_METADATA_BYTES = 128 * 1024 * 1024;
const NEWEST_FORMAT_VERSION = 3;

/**
 * The error for metadata of more than `MAX_METADATA_BYTES`.
 *
 * @param where the file or URL
 * @param bytes its size; absent if only its beginning was read
 */
export function metadataTooLarge(where: string, bytes?: number): CodedError {
  const limit = mebibytes(MAX_METADATA_BYTES);
  const found =
    bytes === undefined ? `it has more than ${limit}` : `it has ${mebibytes(bytes)}, at most ${limit} are read`;
  return new CodedError(
    'FAILED_PRECONDITION',
    `table metadata ${where} is too large: ${found}. Expire snapshots, and remove branches, tags, properties and columns that nobody needs.`,
  );
}

/**
 * Parses a metadata file.
 *
 * @param bytes the file's content; gzip is detected by its first bytes
 * @param path the file's path, for messages
 * @throws CodedError `DATA_LOSS` that names the file and the field, `UNIMPLEMENTED` for an unsupported format version,
 *   `FAILED_PRECONDITION` for the metadata of a view, or more than `MAX_METADATA_BYTES`
 */
export function parseTableMetadata(bytes: Uint8Array, path: string): TableMetadata {
  return readTableMetadata(() => parseLosslessJsonFile(metadataText(bytes, path)), path);
}

/**
 * Converts table metadata from a catalog's response.
 *
 * @param json a result of `parseLosslessJson`
 * @param path the metadata's path, for messages
 * @throws CodedError like `parseTableMetadata`
 */
export function tableMetadataFromJson(json: unknown, path: string): TableMetadata {
  return readTableMetadata(() => json, path);
}

function readTableMetadata(json: () => unknown, path: string): TableMetadata {
  try {
    return tableMetadata(new JsonFields(json()), path);
  } catch (error) {
    // A CodedError already names the file.
    throw error instanceof CodedError ? error : fileError('table metadata', path, error);
  }
}

function metadataText(bytes: Uint8Array, path: string): string {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.length === 0) throw new MalformedError('it is empty');
  if (view[0] !== 0x1f || view[1] !== 0x8b) return view.toString('utf8');
  try {
    return gunzipSync(view, { maxOutputLength: MAX_METADATA_BYTES }).toString('utf8');
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE') throw metadataTooLarge(path);
    throw new MalformedError(`it is gzipped, but corrupt: ${(cause as Error).message}`);
  }
}

function tableMetadata(fields: JsonFields, path: string): TableMetadata {
  if (fields.has('view-uuid')) {
    throw new NotATableError('FAILED_PRECONDITION', `${path} is the metadata of a view, not of a table`);
  }
  const formatVersion = fields.int32('format-version');
  if (formatVersion < 1) throw unexpectedValue('format-version', 'at least 1', formatVersion);
  if (formatVersion > NEWEST_FORMAT_VERSION) {
    throw new CodedError(
      'UNIMPLEMENTED',
      `${path} has Iceberg format version ${formatVersion}; versions 1 to ${NEWEST_FORMAT_VERSION} are supported`,
    );
  }
  const location = withoutEndSlash(fields.string('location'));
  const schemas = tableSchemas(fields);
  const currentSchemaId = fields.has('current-schema-id') ? fields.int32('current-schema-id') : schemas[0]!.id;
  requireId('current-schema-id', currentSchemaId, schemas, (schema) => schema.id);
  const partitionSpecs = tableSpecs(fields);
  const defaultSpecId = fields.has('default-spec-id') ? fields.int32('default-spec-id') : partitionSpecs[0]!.specId;
  requireId('default-spec-id', defaultSpecId, partitionSpecs, (spec) => spec.specId);
  const snapshots = fields.objects('snapshots').map(snapshotMetadata);
  const metadata: TableMetadata = {
    formatVersion,
    uuid: fields.optionalString('table-uuid') ?? location,
    location,
    lastUpdatedMs: Number(fields.long('last-updated-ms')),
    properties: fields.stringMap('properties'),
    schemas,
    currentSchemaId,
    partitionSpecs,
    defaultSpecId,
    refs: [],
    snapshots,
    sketchFiles: sketchFiles(fields, snapshots),
  };
  const current = fields.optionalLong('current-snapshot-id');
  // Version 1 writers store -1 if there is no snapshot.
  if (current !== undefined && current !== -1n) metadata.currentSnapshotId = current;
  metadata.refs = tableRefs(fields, metadata.currentSnapshotId);
  requireSnapshots(metadata);
  return metadata;
}

function tableSchemas(fields: JsonFields): { id: number; json: string }[] {
  // Version 1 may have only `schema` (spec, appendix E, "Version 2").
  const listed = fields.objects('schemas');
  const all = listed.length > 0 ? listed : [fields.object('schema')];
  const schemas = all.map((schema, index) => {
    const id = schema.has('schema-id') ? schema.int32('schema-id') : 0;
    try {
      const json = losslessJson(schema.raw);
      leafColumns(json);
      return { id, json };
    } catch (error) {
      // A CodedError of `leafColumns`, or a stack overflow from a deeply nested document.
      throw new MalformedError(`schemas[${index}] (id ${id}): ${(error as Error).message}`);
    }
  });
  requireUnique('schemas', schemas, (schema) => schema.id);
  return schemas;
}

function tableSpecs(fields: JsonFields): PartitionSpec[] {
  const listed = fields.objects('partition-specs');
  const specs =
    listed.length > 0
      ? listed.map((spec) => ({ specId: spec.int32('spec-id'), fields: spec.objects('fields').map(partitionField) }))
      : [{ specId: 0, fields: fields.objects('partition-spec').map(partitionField) }];
  requireUnique('partition-specs', specs, (spec) => spec.specId);
  return specs;
}

function partitionField(field: JsonFields, index: number): PartitionSpec['fields'][number] {
  return {
    // Version 1 had no field ids; they are numbered from 1000 (spec, "Partitioning").
    fieldId: field.has('field-id') ? field.int32('field-id') : 1000 + index,
    name: field.string('name'),
    transform: field.string('transform'),
    // In version 3, transforms of several columns have `source-ids`.
    sourceIds: field.has('source-id') ? [field.int32('source-id')] : field.int32s('source-ids'),
  };
}

function snapshotMetadata(fields: JsonFields): SnapshotMetadata {
  const { operation = '', ...summary } = fields.stringMap('summary');
  const snapshot: SnapshotMetadata = {
    snapshotId: fields.long('snapshot-id'),
    parentSnapshotId: optionalId(fields, 'parent-snapshot-id'),
    sequenceNumber: fields.optionalInteger('sequence-number') ?? 0,
    committedAtMs: Number(fields.long('timestamp-ms')),
    operation,
    summary,
    schemaId: fields.has('schema-id') ? fields.int32('schema-id') : undefined,
    manifestList: fields.optionalString('manifest-list') ?? '',
    firstRowId: fields.optionalInteger('first-row-id'),
    addedRows: fields.optionalInteger('added-rows'),
  };
  if (snapshot.manifestList === '') {
    if (!fields.has('manifests'))
      throw unexpectedValue('snapshots.manifest-list', 'a path', fields.raw['manifest-list']);
    snapshot.manifests = fields.strings('manifests');
  }
  return snapshot;
}

/**
 * Statistics files (spec, "Table Statistics"). They are informational, so an invalid description is ignored instead of making the table
 * unreadable.
 */
function sketchFiles(fields: JsonFields, snapshots: readonly SnapshotMetadata[]): SketchFile[] {
  if (!fields.has('statistics')) return [];
  const ids = new Set(snapshots.map((snapshot) => snapshot.snapshotId));
  try {
    return fields.objects('statistics').flatMap((file) => {
      const snapshotId = file.long('snapshot-id');
      const sketches = file.objects('blob-metadata').filter((blob) => blob.string('type') === THETA_TYPE);
      if (!ids.has(snapshotId) || sketches.length === 0) return [];
      const ndv = sketches.flatMap((blob) => ndvOf(blob, snapshotId));
      const path = file.string('statistics-path');
      return [{ snapshotId, path, sizeInBytes: file.integer('file-size-in-bytes'), ndv }];
    });
  } catch (error) {
    if (error instanceof MalformedError) return [];
    throw error;
  }
}

/** The number of distinct values of a blob's column, if it states one for this snapshot. */
function ndvOf(blob: JsonFields, snapshotId: bigint): ColumnNdv[] {
  const [columnId, ...others] = blob.int32s('fields');
  const { ndv } = blob.stringMap('properties');
  const isOfColumn = columnId !== undefined && others.length === 0 && blob.long('snapshot-id') === snapshotId;
  return isOfColumn && ndv !== undefined && /^\d{1,15}$/.test(ndv) ? [{ columnId, estimate: Number(ndv) }] : [];
}

/** Some writers store -1 for a missing id. */
function optionalId(fields: JsonFields, name: string): bigint | undefined {
  const id = fields.optionalLong(name);
  return id === -1n ? undefined : id;
}

function tableRefs(fields: JsonFields, current: bigint | undefined): SnapshotRef[] {
  if (!fields.has('refs')) {
    return current === undefined ? [] : [{ name: 'main', snapshotId: current, type: 'branch' }];
  }
  return fields.entries('refs').map(([name, ref]) => {
    const type = ref.string('type').toLowerCase();
    if (type !== 'branch' && type !== 'tag') throw unexpectedValue(`refs.${name}.type`, 'branch or tag', type);
    return {
      name,
      snapshotId: ref.long('snapshot-id'),
      type,
      minSnapshotsToKeep: ref.optionalInteger('min-snapshots-to-keep'),
      maxSnapshotAgeMs: ref.optionalLong('max-snapshot-age-ms'),
      maxRefAgeMs: ref.optionalLong('max-ref-age-ms'),
    };
  });
}

/** Checks that the snapshots to which the metadata refers are in it, as Iceberg's own reader requires. */
function requireSnapshots({ snapshots, refs, currentSnapshotId }: TableMetadata): void {
  requireUnique('snapshots', snapshots, (snapshot) => snapshot.snapshotId);
  const ids = new Set(snapshots.map((snapshot) => snapshot.snapshotId));
  if (currentSnapshotId !== undefined && !ids.has(currentSnapshotId)) {
    throw new MalformedError(`current-snapshot-id is ${currentSnapshotId}, but snapshots has none with this id`);
  }
  for (const ref of refs) {
    if (!ids.has(ref.snapshotId)) {
      throw new MalformedError(`refs.${ref.name} is snapshot ${ref.snapshotId}, but snapshots has none with this id`);
    }
  }
}

function requireUnique<T>(field: string, items: readonly T[], id: (item: T) => number | bigint): void {
  const seen = new Set<number | bigint>();
  for (const item of items) {
    if (seen.has(id(item))) throw new MalformedError(`${field} has the id ${id(item)} twice`);
    seen.add(id(item));
  }
}

function requireId<T>(field: string, expectedId: number, items: readonly T[], id: (item: T) => number): void {
  if (items.some((item) => id(item) === expectedId)) return;
  throw new MalformedError(`${field} is ${expectedId}, but the ids are ${items.map(id).slice(0, 20)}`);
}

function withoutEndSlash(location: string): string {
  return location.replace(/(?<=[^/:])\/+$/, '');
}
