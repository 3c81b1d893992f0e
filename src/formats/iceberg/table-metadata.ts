import { promisify } from 'node:util';
import { gunzip, gunzipSync, type ZlibOptions } from 'node:zlib';
import { CodedError } from '../../errors.ts';
import { leafColumns } from '../../stats/leaf-columns.ts';
import { THETA_TYPE } from '../../stats/ndv/compact-theta.ts';
import { mebibytes } from '../../text.ts';
import { JsonFields, unexpectedValue } from '../json/json-fields.ts';
import { isLargeJson, JsonPart, openJson } from '../json/json-part.ts';
import { losslessJson, parseLosslessJsonFile } from '../json/lossless-json.ts';
import { fileError, LimitError, MalformedError } from '../malformed.ts';
import { NotATableError } from '../not-a-table.ts';
import { atOnce } from '../paced.ts';
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

export interface SnapshotMetadata extends Omit<SnapshotDescriptor, 'summary'> {
  /** The summary as JSON, with the operation: as an object it takes twice the memory, which is most of what a long history takes. */
  summaryJson: string;
  /** Present if a version 1 snapshot lists its manifests itself. */
  manifests?: string[];
}

/** Limit for the file and for its decompressed content. The metadata of a table with 100,000 snapshots has about 60 MB. */
export const MAX_METADATA_BYTES = 128 * 1024 * 1024;
/**
 * What is kept of these parts as objects takes up to ten times their size. The catalog accepts 7 MiB of them together
 * (`refuseOversize`), which are twice as many as JSON.
 */
const MAX_PART_BYTES = 32 * 1024 * 1024;
/** For a snapshot's summary, which is read in one go. The catalog accepts 7 MiB (`refuseOversizeSummary`). */
const MAX_SUMMARY_BYTES = 16 * 1024 * 1024;
const LIMITED_PARTS = ['properties', 'partition-specs', 'partition-spec', 'refs'];
/** Paths of manifests in a version 1 table whose snapshots list them themselves. */
const MAX_LISTED_MANIFESTS = 500_000;
const NEWEST_FORMAT_VERSION = 3;
const ADVICE = 'Expire snapshots, and remove branches, tags, properties and columns that nobody needs.';

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
  return new CodedError('FAILED_PRECONDITION', `table metadata ${where} is too large: ${found}. ${ADVICE}`);
}

/**
 * Parses a metadata file at once.
 *
 * @param bytes the file's content; gzip is detected by its first bytes
 * @param path the file's path, for messages
 * @throws CodedError `DATA_LOSS` that names the file and the field, `UNIMPLEMENTED` for an unsupported format version,
 *   `FAILED_PRECONDITION` for the metadata of a view, or more than `MAX_METADATA_BYTES`
 */
export function parseTableMetadata(bytes: Uint8Array, path: string): TableMetadata {
  try {
    return atOnce(tableMetadataOf(metadataText(bytes, MAX_METADATA_BYTES), path));
  } catch (error) {
    if (error instanceof MetadataTooLargeError) throw metadataTooLarge(path);
    throw metadataError(path, error);
  }
}

/**
 * Parses the JSON of a metadata file, with pauses if it is large.
 *
 * @param text of `metadataText`
 * @throws CodedError like `parseTableMetadata`
 */
export function* tableMetadataOf(text: Buffer, path: string): Generator<void, TableMetadata> {
  try {
    const json = isLargeJson(text) ? yield* openJson(text, 'file') : parseLosslessJsonFile(text.toString('utf8'));
    return yield* tableMetadata(new JsonFields(json), path, false);
  } catch (error) {
    throw metadataError(path, error);
  }
}

/**
 * Converts table metadata from a catalog's response. Refs to snapshots that are not in it are left out: catalogs may leave out snapshots but
 * keep the refs to them.
 *
 * @param json a result of `parseLosslessJson` or `openJson`
 * @param path the metadata's path, for messages
 * @throws CodedError like `parseTableMetadata`
 */
export function* tableMetadataFromJson(json: unknown, path: string): Generator<void, TableMetadata> {
  try {
    return yield* tableMetadata(new JsonFields(json), path, true);
  } catch (error) {
    throw metadataError(path, error);
  }
}

/** The error of a metadata file, which names it. */
export function metadataError(path: string, error: unknown): unknown {
  // A CodedError already names the file.
  if (error instanceof CodedError) return error;
  const named = fileError('table metadata', path, error);
  return error instanceof LimitError
    ? new CodedError('FAILED_PRECONDITION', `${(named as Error).message} ${ADVICE}`)
    : named;
}

/** The decompressed metadata has more bytes than were asked for. */
export class MetadataTooLargeError extends Error {
  override readonly name = 'MetadataTooLargeError';
}

/**
 * The content of a metadata file.
 *
 * @throws MalformedError if it is empty or corrupt, MetadataTooLargeError if it has more than `maxBytes`
 */
export function metadataText(bytes: Uint8Array, maxBytes: number): Buffer {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.length === 0) throw new MalformedError('it is empty');
  if (view[0] !== 0x1f || view[1] !== 0x8b) return view;
  try {
    return gunzipSync(view, { maxOutputLength: maxBytes });
  } catch (cause) {
    throw gunzipError(cause);
  }
}

/** The same on another thread. */
export async function largeMetadataText(bytes: Uint8Array, maxBytes: number): Promise<Buffer> {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view[0] !== 0x1f || view[1] !== 0x8b) return view;
  return gunzipInThreadPool(view, { maxOutputLength: maxBytes, chunkSize: GUNZIP_CHUNK_BYTES }).catch((cause) => {
    throw gunzipError(cause);
  });
}

const gunzipInThreadPool = promisify<Buffer, ZlibOptions, Buffer>(gunzip);
const GUNZIP_CHUNK_BYTES = 1024 * 1024;

function gunzipError(cause: unknown): Error {
  const { code, message } = cause as NodeJS.ErrnoException;
  if (code === 'ERR_BUFFER_TOO_LARGE') return new MetadataTooLargeError();
  return new MalformedError(`it is gzipped, but corrupt: ${message}`);
}

function* tableMetadata(fields: JsonFields, path: string, mayLackSnapshots: boolean): Generator<void, TableMetadata> {
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
  limitParts(fields);
  const schemas = yield* tableSchemas(fields);
  const currentSchemaId = fields.has('current-schema-id') ? fields.int32('current-schema-id') : schemas[0]!.id;
  requireId('current-schema-id', currentSchemaId, schemas, (schema) => schema.id);
  const partitionSpecs = yield* tableSpecs(fields);
  const defaultSpecId = fields.has('default-spec-id') ? fields.int32('default-spec-id') : partitionSpecs[0]!.specId;
  requireId('default-spec-id', defaultSpecId, partitionSpecs, (spec) => spec.specId);
  const snapshots = yield* tableSnapshots(fields);
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
    sketchFiles: yield* sketchFiles(fields, snapshots),
  };
  const current = fields.optionalLong('current-snapshot-id');
  // Version 1 writers store -1 if there is no snapshot.
  if (current !== undefined && current !== -1n) metadata.currentSnapshotId = current;
  const refs = yield* tableRefs(fields, metadata.currentSnapshotId);
  const ids = new Set(snapshots.map((snapshot) => snapshot.snapshotId));
  metadata.refs = mayLackSnapshots ? refs.filter(({ snapshotId }) => ids.has(snapshotId)) : refs;
  requireSnapshots(metadata, ids);
  return metadata;
}

/** Refuses what would take too much memory, and what the catalog would refuse anyway. */
function limitParts(fields: JsonFields): void {
  for (const name of LIMITED_PARTS) limitPart(fields.value(name), name, MAX_PART_BYTES);
}

function limitPart(value: unknown, name: string, maxBytes: number): void {
  if (!(value instanceof JsonPart) || value.length <= maxBytes) return;
  throw new LimitError(`${name} has ${mebibytes(value.length)}, at most ${mebibytes(maxBytes)} are read`);
}

function* tableSnapshots(fields: JsonFields): Generator<void, SnapshotMetadata[]> {
  let manifests = 0;
  return yield* fields.each('snapshots', (snapshot) => {
    const metadata = snapshotMetadata(snapshot);
    manifests += metadata.manifests?.length ?? 0;
    if (manifests > MAX_LISTED_MANIFESTS)
      throw new LimitError(`snapshots list more than ${MAX_LISTED_MANIFESTS.toLocaleString('en-US')} manifests`);
    return metadata;
  });
}

function* tableSchemas(fields: JsonFields): Generator<void, { id: number; json: string }[]> {
  const read = (schema: JsonFields, index: number) => {
    const id = schema.has('schema-id') ? schema.int32('schema-id') : 0;
    try {
      const json = losslessJson(schema.raw);
      leafColumns(json);
      return { id, json };
    } catch (error) {
      if (error instanceof LimitError) throw error;
      // A CodedError of `leafColumns`, or a stack overflow from a deeply nested document.
      throw new MalformedError(`schemas[${index}] (id ${id}): ${(error as Error).message}`);
    }
  };
  const listed = yield* fields.each('schemas', read);
  // Version 1 may have only `schema` (spec, appendix E, "Version 2").
  const schemas = listed.length > 0 ? listed : [read(fields.object('schema'), 0)];
  requireUnique('schemas', schemas, (schema) => schema.id);
  return schemas;
}

function* tableSpecs(fields: JsonFields): Generator<void, PartitionSpec[]> {
  const listed = yield* fields.each('partition-specs', (spec) => ({
    specId: spec.int32('spec-id'),
    fields: spec.objects('fields').map(partitionField),
  }));
  const specs =
    listed.length > 0 ? listed : [{ specId: 0, fields: fields.objects('partition-spec').map(partitionField) }];
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
  limitPart(fields.value('summary'), "a snapshot's summary", MAX_SUMMARY_BYTES);
  const summary = fields.stringMap('summary');
  const snapshot: SnapshotMetadata = {
    snapshotId: fields.long('snapshot-id'),
    parentSnapshotId: optionalId(fields, 'parent-snapshot-id'),
    sequenceNumber: fields.optionalInteger('sequence-number') ?? 0,
    committedAtMs: Number(fields.long('timestamp-ms')),
    operation: summary.operation ?? '',
    summaryJson: JSON.stringify(summary),
    schemaId: fields.has('schema-id') ? fields.int32('schema-id') : undefined,
    manifestList: fields.optionalString('manifest-list') ?? '',
    firstRowId: fields.optionalInteger('first-row-id'),
    addedRows: fields.optionalInteger('added-rows'),
  };
  if (snapshot.manifestList === '') {
    if (!fields.has('manifests'))
      throw unexpectedValue('snapshots.manifest-list', 'a path', fields.value('manifest-list'));
    snapshot.manifests = fields.strings('manifests');
  }
  return snapshot;
}

/**
 * Statistics files (spec, "Table Statistics"). They are informational, so an invalid description is ignored instead of making the table
 * unreadable.
 */
function* sketchFiles(fields: JsonFields, snapshots: readonly SnapshotMetadata[]): Generator<void, SketchFile[]> {
  if (!fields.has('statistics')) return [];
  const ids = new Set(snapshots.map((snapshot) => snapshot.snapshotId));
  try {
    const files = yield* fields.each('statistics', (file) => {
      const snapshotId = file.long('snapshot-id');
      const sketches = file.objects('blob-metadata').filter((blob) => blob.string('type') === THETA_TYPE);
      if (!ids.has(snapshotId) || sketches.length === 0) return [];
      const ndv = sketches.flatMap((blob) => ndvOf(blob, snapshotId));
      const path = file.string('statistics-path');
      return [{ snapshotId, path, sizeInBytes: file.integer('file-size-in-bytes'), ndv }];
    });
    return files.flat();
  } catch (error) {
    if (error instanceof MalformedError || error instanceof LimitError) return [];
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

function* tableRefs(fields: JsonFields, current: bigint | undefined): Generator<void, SnapshotRef[]> {
  if (!fields.has('refs')) {
    return current === undefined ? [] : [{ name: 'main', snapshotId: current, type: 'branch' }];
  }
  return yield* fields.eachEntry('refs', (name, ref) => {
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
function requireSnapshots({ snapshots, refs, currentSnapshotId }: TableMetadata, ids: ReadonlySet<bigint>): void {
  requireUnique('snapshots', snapshots, (snapshot) => snapshot.snapshotId);
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
