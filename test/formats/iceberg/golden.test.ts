import { describe, expect, it } from '@jest/globals';
import type { ContentFile, SnapshotDescriptor, TableReader } from '../../../src/formats/table-reader.ts';
import { boundText } from '../../../src/stats/bounds.ts';
import { unpackColumns } from '../columns/unpack-columns.ts';
import {
  type Added,
  apply,
  changesOf,
  fileKey,
  inColumn,
  keyOf,
  openFixture,
  type TruthFile,
  type TruthSnapshot,
  type TruthTable,
  truths,
} from './fixtures.ts';

/** Columns of position delete files (spec, "Reserved Field IDs"), which the reader omits. It keeps the columns of row lineage. */
const DELETE_FILE_COLUMNS = new Set(['2147483544', '2147483545', '2147483546']);
const tables = truths();
/** Tables that are not damaged. */
const sound = tables.filter(([, truth]) => truth.corrupted === undefined);

async function snapshotsOf(reader: TableReader): Promise<SnapshotDescriptor[]> {
  const snapshots: SnapshotDescriptor[] = [];
  for await (const snapshot of reader.snapshots()) snapshots.push(snapshot);
  return snapshots;
}

const hex = (bytes: Uint8Array | undefined) => (bytes === undefined ? undefined : Buffer.from(bytes).toString('hex'));
const optional = <T>(value: T | null | undefined): T | undefined => value ?? undefined;

/** A file in the form of the truth. @param truth whose partition values have the types of their columns */
function asTruth(file: ContentFile, truth: TruthFile): unknown {
  return {
    content: file.content,
    path: file.path,
    format: file.format,
    spec_id: file.specId,
    record_count: file.recordCount,
    file_size_in_bytes: file.fileSizeInBytes,
    content_offset: file.contentOffset,
    content_size_in_bytes: file.contentSizeInBytes,
    referenced_data_file: file.referencedDataFile,
    equality_ids: file.equalityIds,
    sort_order_id: file.sortOrderId,
    split_offsets: file.splitOffsets,
    first_row_id: file.firstRowId,
    partition: file.partition.map((partition, i) => {
      const { type, value } = inColumn(partition, truth.partition?.[i]?.type ?? '');
      const { fieldId, name } = partition;
      return { field_id: fieldId, name, type, value: value && partitionText(type, value) };
    }),
    columns: Object.fromEntries(
      unpackColumns(file.columns).map((column) => [
        column.id,
        {
          size: column.sizeInBytes,
          values: column.valueCount,
          nulls: column.nullCount,
          nans: column.nanCount,
          lower_hex: hex(column.lower),
          upper_hex: hex(column.upper),
        },
      ]),
    ),
  };
}

function fromTruth(file: TruthFile, referenced: string | undefined): unknown {
  return {
    content: file.content,
    path: file.path,
    format: file.format,
    spec_id: file.spec_id,
    record_count: file.record_count,
    file_size_in_bytes: file.file_size_in_bytes,
    content_offset: optional(file.content_offset),
    content_size_in_bytes: optional(file.content_size_in_bytes),
    referenced_data_file: file.referenced_data_file ?? referenced,
    equality_ids: optional(file.equality_ids),
    sort_order_id: optional(file.sort_order_id),
    split_offsets: optional(file.split_offsets),
    first_row_id: optional(file.first_row_id),
    partition: (file.partition ?? []).map(({ field_id, name, type, raw, human }) => ({
      field_id,
      name,
      type,
      value: raw === null ? undefined : type === 'int' ? raw : String(human),
    })),
    columns: Object.fromEntries(
      Object.entries(file.columns)
        .filter(([id]) => !DELETE_FILE_COLUMNS.has(id))
        .map(([id, { size, values, nulls, nans, lower_hex, upper_hex }]) => [
          id,
          { size, values, nulls, nans, lower_hex, upper_hex },
        ]),
    ),
  };
}

/** Java's text, which omits a zero fraction of a second. */
function partitionText(type: string, value: Uint8Array): string | undefined {
  return boundText(type, value)?.replace(/(T\d\d:\d\d:\d\d)\.000000/, '$1');
}

/** The only file to which a position delete file applies: its bounds of `file_path` are equal. */
function referencedByBounds(file: TruthFile): string | undefined {
  const path = file.columns['2147483546'];
  if (file.content !== 'POSITION_DELETES' || path?.lower_hex === undefined || path.lower_hex !== path.upper_hex) {
    return undefined;
  }
  return Buffer.from(path.lower_hex, 'hex').toString();
}

function expectLive(live: ReadonlyMap<string, Added>, snapshot: TruthSnapshot, truth: TruthTable): void {
  const expected = new Map(
    (snapshot.live ?? []).map(({ file, seq, file_seq }) => {
      const { path, content_offset } = truth.files[file]!;
      return [keyOf(path, content_offset), { seq: seq ?? 0, file_seq: file_seq ?? 0 }];
    }),
  );
  const found = new Map(
    [...live].map(([key, { sequenceNumber, fileSequenceNumber }]) => [
      key,
      { seq: sequenceNumber, file_seq: fileSequenceNumber },
    ]),
  );
  expect(Object.fromEntries([...found].sort())).toEqual(Object.fromEntries([...expected].sort()));
}

describe.each(sound)('%s', (name, truth) => {
  it('is described as by the engines', async () => {
    const { descriptor } = await openFixture(name);
    expect(descriptor).toMatchObject({
      uuid: truth.uuid,
      format: 'ICEBERG',
      formatVersion: truth.format_version,
      location: truth.location,
      properties: truth.properties,
      currentSchemaId: truth.current_schema_id,
      defaultSpecId: truth.default_spec_id,
    });
    expect(descriptor.currentSnapshotId).toBe(
      truth.current_snapshot_id === null ? undefined : BigInt(truth.current_snapshot_id),
    );
    expect(descriptor.schemas.map(({ json }) => JSON.parse(json))).toEqual(
      truth.schemas.map((schema) => expect.objectContaining({ 'schema-id': schema['schema-id'] })),
    );
    expect(descriptor.partitionSpecs).toEqual(
      truth.specs.map((spec) => ({
        specId: spec['spec-id'],
        fields: spec.fields.map((field) => ({
          fieldId: field['field-id'],
          name: field.name,
          transform: field.transform,
          sourceIds: [field['source-id']],
        })),
      })),
    );
    const refs = Object.fromEntries(
      descriptor.refs.map((ref) => [ref.name, { type: ref.type, snapshot_id: String(ref.snapshotId) }]),
    );
    expect(Object.keys(refs).sort()).toEqual(Object.keys(truth.refs).sort());
    for (const [ref, expected] of Object.entries(truth.refs)) expect(expected).toMatchObject(refs[ref]!);
  });

  it('has the snapshots that the engines see, parents first', async () => {
    const reader = await openFixture(name);
    const snapshots = await snapshotsOf(reader);
    const seen = new Set<bigint>();
    const all = new Set(snapshots.map((snapshot) => snapshot.snapshotId));
    for (const { snapshotId, parentSnapshotId } of snapshots) {
      if (parentSnapshotId !== undefined && all.has(parentSnapshotId)) expect(seen).toContain(parentSnapshotId);
      seen.add(snapshotId);
    }
    const found = snapshots.map((snapshot) => ({
      snapshot_id: String(snapshot.snapshotId),
      parent_id: snapshot.parentSnapshotId === undefined ? null : String(snapshot.parentSnapshotId),
      sequence_number: snapshot.sequenceNumber,
      timestamp_ms: snapshot.committedAtMs,
      operation: snapshot.operation,
      schema_id: snapshot.schemaId ?? null,
      manifest_list: snapshot.manifestList,
      summary: snapshot.summary,
    }));
    expect(found).toHaveLength(truth.snapshots.length);
    for (const snapshot of truth.snapshots) {
      const { snapshot_id, parent_id, sequence_number, timestamp_ms, operation, schema_id, manifest_list, summary } =
        snapshot;
      expect(found).toContainEqual({
        snapshot_id,
        parent_id,
        sequence_number,
        timestamp_ms,
        operation,
        schema_id,
        manifest_list,
        summary,
      });
      const descriptor = snapshots.find(({ snapshotId }) => String(snapshotId) === snapshot_id);
      expect(descriptor).toMatchObject({ firstRowId: snapshot.first_row_id, addedRows: snapshot.added_rows });
    }
  });

  it('has the files that the engines see in every snapshot, read in full and by changes', async () => {
    const reader = await openFixture(name);
    const snapshots = await snapshotsOf(reader);
    const known = new Map(truth.snapshots.map((snapshot) => [snapshot.snapshot_id, snapshot]));
    const lives = new Map<bigint, Map<string, Added>>();
    for (const { snapshotId, parentSnapshotId } of snapshots) {
      const expected = known.get(String(snapshotId))!;
      if (expected.live === undefined) continue;
      const base = parentSnapshotId === undefined ? undefined : lives.get(parentSnapshotId);
      const whole = apply(new Map(), await changesOf(reader, snapshotId));
      expectLive(whole, expected, truth);

      const changes = await changesOf(reader, snapshotId, base && { base: parentSnapshotId });
      const live = apply(base ?? new Map(), changes);
      expectLive(live, expected, truth);
      lives.set(snapshotId, live);
      if (base !== undefined) {
        const keys = (ids: string[] = []) =>
          ids.map((id) => keyOf(truth.files[id]!.path, truth.files[id]!.content_offset)).sort();
        const added = changes.flatMap((change) => (change.kind === 'added' ? [fileKey(change.file)] : []));
        const removed = changes.flatMap((change) =>
          change.kind === 'removed' ? [keyOf(change.path, change.contentOffset)] : [],
        );
        expect(added.sort()).toEqual(keys(expected.added));
        expect(removed.sort()).toEqual(keys(expected.removed));
      }

      const counts = await reader.liveFileCounts(snapshotId);
      const deleteFiles =
        expected.totals.position_delete_files! +
        expected.totals.equality_delete_files! +
        expected.totals.deletion_vectors!;
      expect(counts).toEqual({ dataFiles: expected.totals.data_files, deleteFiles });
    }
    // Between any two snapshots, related or not, by the difference of their manifests.
    for (const [from, before] of lives) {
      for (const [to] of lives) {
        if (lives.size > 8 && from !== snapshots[0]!.snapshotId && to !== snapshots[0]!.snapshotId) continue;
        const live = apply(before, await changesOf(reader, to, { base: from }));
        expectLive(live, known.get(String(to))!, truth);
      }
    }
  });

  it('has every field of every file as the engines report it', async () => {
    const reader = await openFixture(name);
    const truthFiles = new Map(Object.values(truth.files).map((file) => [keyOf(file.path, file.content_offset), file]));
    const seen = new Set<string>();
    for (const { snapshotId } of await snapshotsOf(reader)) {
      for (const change of await changesOf(reader, snapshotId)) {
        if (change.kind !== 'added') continue;
        const key = fileKey(change.file);
        const file = truthFiles.get(key)!;
        seen.add(key);
        expect(asTruth(change.file, file)).toEqual(fromTruth(file, referencedByBounds(file)));
        const ids = unpackColumns(change.file.columns).map((column) => column.id);
        expect(ids).toEqual([...ids].sort((a, b) => a - b));
      }
    }
    expect([...seen].sort()).toEqual([...truthFiles.keys()].sort());
  });
});

describe('damaged tables', () => {
  it('reports the name of truncated table metadata', async () => {
    await expect(openFixture('wh.bad.truncated_metadata')).rejects.toMatchObject({
      code: 'DATA_LOSS',
      message: expect.stringMatching(/00002-97cc7d95.*metadata\.json is broken: it is not JSON/),
    });
  });

  it("fails only at a missing manifest's snapshot, and names the manifest", async () => {
    const reader = await openFixture('wh.bad.missing_manifest');
    const failures: unknown[] = [];
    for (const { snapshotId } of await snapshotsOf(reader)) {
      await changesOf(reader, snapshotId).catch((error) => failures.push(error));
    }
    expect(failures.length).toBeGreaterThan(0);
    expect(failures[0]).toMatchObject({
      code: 'DATA_LOSS',
      message: expect.stringMatching(/^manifest .*-m0\.avro cannot be read/),
    });
  });
});
