import { AvroContainer, type ReadRange } from '../../avro/container.ts';
import {
  bigLongReader,
  type FieldTable,
  longReader,
  optional,
  type Read,
  recordReader,
  stringReader,
} from '../../avro/readers.ts';
import type { AvroType } from '../../avro/schema.ts';
import { MalformedError } from '../../malformed.ts';
import { Turns } from '../../paced.ts';
import type { LiveFileCounts } from '../../table-reader.ts';

/** An entry of a manifest list (Iceberg spec, "Manifest Lists"). Fields that the list does not contain are absent. */
export interface ManifestFile {
  path: string;
  /** Its place in the list, from 0. */
  index: number;
  /** Length in bytes. */
  length?: number;
  specId?: number;
  content: 'DATA' | 'DELETES';
  /** 0 in version 1. */
  sequenceNumber: number;
  addedSnapshotId?: bigint;
  /** Numbers of entries by status. */
  added?: number;
  existing?: number;
  deleted?: number;
  /** In version 3: row id of the first row that has no row id in the manifest. */
  firstRowId?: number;
}

/** Maximum manifests per snapshot, so that a corrupt list cannot exhaust the memory. Tables have up to about ten thousand. */
const MAX_MANIFESTS = 1_000_000;

/** Others get their turn after this many entries at the earliest. */
const PAUSE = 500;

/** Fields by their ids in the spec; `names` includes the names of version 1. */
const FIELDS: FieldTable<ManifestFile> = [
  field(500, ['manifest_path'], stringReader, (manifest, path) => {
    manifest.path = path;
  }),
  field(501, ['manifest_length'], longReader, (manifest, length) => {
    manifest.length = length;
  }),
  field(502, ['partition_spec_id'], longReader, (manifest, specId) => {
    manifest.specId = specId;
  }),
  field(517, ['content'], longReader, (manifest, content) => {
    if (content !== 0 && content !== 1)
      throw new MalformedError(`a manifest has the content ${content}; expected 0 or 1`);
    manifest.content = content === 0 ? 'DATA' : 'DELETES';
  }),
  field(515, ['sequence_number'], longReader, (manifest, sequenceNumber) => {
    manifest.sequenceNumber = sequenceNumber;
  }),
  field(503, ['added_snapshot_id'], bigLongReader, (manifest, snapshotId) => {
    manifest.addedSnapshotId = snapshotId;
  }),
  field(504, ['added_files_count', 'added_data_files_count'], countReader, (manifest, count) => {
    manifest.added = count;
  }),
  field(505, ['existing_files_count', 'existing_data_files_count'], countReader, (manifest, count) => {
    manifest.existing = count;
  }),
  field(506, ['deleted_files_count', 'deleted_data_files_count'], countReader, (manifest, count) => {
    manifest.deleted = count;
  }),
  field(520, ['first_row_id'], longReader, (manifest, firstRowId) => {
    manifest.firstRowId = firstRowId;
  }),
];

/** A manifest that is listed twice is one manifest. @throws MalformedError if the list is corrupt; the errors of `read` */
export async function readManifestList(read: ReadRange): Promise<ManifestFile[]> {
  using container = await AvroContainer.open(read);
  const readFields = recordReader(container.schema, FIELDS, [500]);
  const manifests = new Map<string, ManifestFile>();
  const turns = new Turns();
  do {
    for (let block = container.next(); block !== undefined; block = container.next()) {
      for (let left = block.count; left > 0; left--) {
        const manifest = unknownManifest('', manifests.size);
        readFields(block.cursor, manifest);
        block.cursor.requireInside();
        if (manifest.path === '') throw new MalformedError('it lists a manifest without a path');
        if (!manifests.has(manifest.path)) manifests.set(manifest.path, manifest);
        if (left % PAUSE === 0 && turns.isOver) await turns.next();
        if (manifests.size > MAX_MANIFESTS) throw new MalformedError(`it lists more than ${MAX_MANIFESTS} manifests`);
      }
    }
  } while (await container.fill());
  return [...manifests.values()];
}

/** A manifest of which only the path is known, because version 1 snapshots may list only paths. */
export function unknownManifest(path: string, index: number): ManifestFile {
  return {
    path,
    index,
    length: undefined,
    specId: undefined,
    content: 'DATA',
    sequenceNumber: 0,
    addedSnapshotId: undefined,
    added: undefined,
    existing: undefined,
    deleted: undefined,
    firstRowId: undefined,
  };
}

function field<T>(
  id: number,
  names: string[],
  make: (type: AvroType) => Read<T>,
  set: (manifest: ManifestFile, value: NonNullable<T>) => void,
): FieldTable<ManifestFile>[number] {
  return {
    id,
    names,
    reader: (type) => {
      const read = optional(type, make);
      return (cursor, manifest) => {
        const value = read(cursor);
        if (value !== undefined && value !== null) set(manifest, value);
      };
    },
  };
}

/** Returns a reader of counts. Some writers store -1 for unknown. */
function countReader(type: AvroType): Read<number | undefined> {
  const read = longReader(type);
  return (cursor) => {
    const count = read(cursor);
    return count < 0 ? undefined : count;
  };
}

/** Numbers of live files according to the list's counts; undefined if a manifest has no counts. */
export function liveCounts(manifests: readonly ManifestFile[]): LiveFileCounts | undefined {
  let dataFiles = 0;
  let deleteFiles = 0;
  for (const { added, existing, content } of manifests) {
    if (added === undefined || existing === undefined) return undefined;
    if (content === 'DATA') dataFiles += added + existing;
    else deleteFiles += added + existing;
  }
  return { dataFiles, deleteFiles };
}
