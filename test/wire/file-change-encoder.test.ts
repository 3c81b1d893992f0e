import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { packColumns } from '../../src/formats/columns/pack-columns.ts';
import type { ColumnMetrics } from '../../src/formats/columns/packed-columns.ts';
import type { AddedFile, ContentFile, FileChange, RemovedFile } from '../../src/formats/table-reader.ts';
import {
  type DataFile,
  FileChangeKind,
  FileContent,
  FileFormat,
  PutFileColumnStatsRequest,
} from '../../src/generated/reconciler/v1/statistics.ts';
import { FileChangeEncoder } from '../../src/wire/file-change-encoder.ts';

const count = fc.maxSafeNat();
const small = fc.integer({ min: 0, max: 100_000 });
const bytes = fc.uint8Array({ maxLength: 300 });
const maybe = <T>(arb: fc.Arbitrary<T>) => fc.option(arb, { nil: undefined });

/** Changes whose columns are not packed yet. */
type PlainFile = Omit<ContentFile, 'columns'> & { columns: ColumnMetrics[] };
type PlainChange = (Omit<AddedFile, 'file'> & { file: PlainFile }) | RemovedFile;

const file: fc.Arbitrary<PlainFile> = fc.record({
  path: fc.string({ unit: 'binary', maxLength: 300 }),
  content: fc.constantFrom('DATA' as const, 'POSITION_DELETES' as const, 'EQUALITY_DELETES' as const),
  format: fc.constantFrom('PARQUET', 'ORC', 'AVRO', 'PUFFIN', 'DELTA_DV'),
  recordCount: count,
  fileSizeInBytes: count,
  specId: small,
  partition: fc.array(
    fc.record({
      fieldId: fc.integer({ min: 1, max: 5000 }),
      name: fc.string(),
      type: fc.string(),
      value: maybe(bytes),
    }),
    { maxLength: 3 },
  ),
  columns: fc.uniqueArray(
    fc.record({
      id: fc.integer({ min: 1, max: 2 ** 31 - 1 }),
      sizeInBytes: maybe(count),
      valueCount: maybe(count),
      nullCount: maybe(count),
      nanCount: maybe(count),
      lower: maybe(bytes),
      upper: maybe(bytes),
    }),
    // More than the collector has room for at first.
    { maxLength: 50, selector: ({ id }) => id },
  ),
  contentOffset: maybe(count),
  contentSizeInBytes: maybe(count),
  referencedDataFile: maybe(fc.string({ maxLength: 300 })),
  equalityIds: maybe(fc.array(small, { maxLength: 200 })),
  sortOrderId: maybe(small),
  splitOffsets: maybe(fc.array(count, { maxLength: 40 })),
  firstRowId: maybe(count),
  inlineContent: maybe(bytes),
  schemaId: maybe(small),
});

const change: fc.Arbitrary<PlainChange> = fc.oneof(
  fc.record({
    kind: fc.constant('added' as const),
    file,
    sequenceNumber: count,
    fileSequenceNumber: count,
    addedSnapshotId: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
    replacesLive: maybe(fc.constant(true as const)),
    isUpperBound: maybe(fc.constant(true as const)),
  }),
  fc.record({
    kind: fc.constant('removed' as const),
    path: fc.string(),
    contentOffset: maybe(count),
    ifVector: maybe(
      fc.oneof(
        fc.constant('none' as const),
        fc.record({ path: fc.string({ minLength: 1 }), contentOffset: maybe(count) }),
      ),
    ),
  }),
);

const big = (value: number | undefined) => (value === undefined ? undefined : BigInt(value));

/** The change as a message of the generated code. */
function message(c: PlainChange) {
  if (c.kind === 'removed') {
    return {
      kind: FileChangeKind.FILE_CHANGE_KIND_REMOVED,
      file: { filePath: c.path, contentOffset: big(c.contentOffset) },
      ifVector:
        c.ifVector === 'none'
          ? {}
          : c.ifVector && { filePath: c.ifVector.path, contentOffset: big(c.ifVector.contentOffset) },
    };
  }
  const f = c.file;
  return {
    kind: FileChangeKind.FILE_CHANGE_KIND_ADDED,
    sequenceNumber: BigInt(c.sequenceNumber),
    fileSequenceNumber: BigInt(c.fileSequenceNumber),
    addedSnapshotId: c.addedSnapshotId,
    replacesLive: c.replacesLive,
    isUpperBound: c.isUpperBound,
    file: {
      filePath: f.path,
      fileContent: FileContent[`FILE_CONTENT_${f.content}`],
      fileFormat: FileFormat[`FILE_FORMAT_${f.format as 'PARQUET'}`],
      recordCount: BigInt(f.recordCount),
      fileSizeInBytes: BigInt(f.fileSizeInBytes),
      specId: f.specId,
      partition: f.partition.map((p) => ({ ...p, value: p.value && Buffer.from(p.value) })),
      columns: [...f.columns]
        .sort((a, b) => a.id - b.id)
        .map((column) => ({
          columnId: column.id,
          sizeInBytes: big(column.sizeInBytes),
          valueCount: big(column.valueCount),
          nullCount: big(column.nullCount),
          nanCount: big(column.nanCount),
          lowerBound: column.lower && Buffer.from(column.lower),
          upperBound: column.upper && Buffer.from(column.upper),
        })),
      contentOffset: big(f.contentOffset),
      contentSizeInBytes: big(f.contentSizeInBytes),
      referencedDataFile: f.referencedDataFile,
      equalityIds: f.equalityIds ?? [],
      sortOrderId: f.sortOrderId,
      splitOffsets: (f.splitOffsets ?? []).map(BigInt),
      firstRowId: big(f.firstRowId),
      inlineContent: f.inlineContent && Buffer.from(f.inlineContent),
      schemaId: f.schemaId,
    } satisfies Partial<DataFile> | object,
  };
}

const packed = (plain: PlainChange): FileChange =>
  plain.kind === 'removed' ? plain : { ...plain, file: { ...plain.file, columns: packColumns(plain.file.columns) } };

function encode(changes: PlainChange[]): Uint8Array[] {
  const encoder = new FileChangeEncoder();
  const chunks: Uint8Array[] = [];
  for (const one of changes) {
    const chunk = encoder.add(packed(one));
    if (chunk) chunks.push(chunk);
  }
  const rest = encoder.flush();
  if (rest) chunks.push(rest);
  return chunks;
}

function decoded(chunks: Uint8Array[]) {
  return chunks.flatMap((chunk) => {
    const { request } = PutFileColumnStatsRequest.decode(chunk);
    if (request?.$case !== 'changes') throw new Error(`got ${request?.$case}`);
    return request.value.changes;
  });
}

describe('FileChangeEncoder', () => {
  it('writes what the generated code reads', () => {
    fc.assert(
      fc.property(fc.array(change, { maxLength: 5 }), (changes) => {
        const want = PutFileColumnStatsRequest.fromPartial({
          request: { $case: 'changes', value: { changes: changes.map(message) } },
        }).request;
        expect(decoded(encode(changes))).toEqual(want?.$case === 'changes' ? want.value.changes : undefined);
      }),
    );
  });

  it('cuts chunks at about 1 MiB and loses nothing at the cuts', () => {
    const changes: PlainChange[] = Array.from({ length: 30_000 }, (_, i) => ({
      kind: 'removed',
      path: `file:/lake/${'x'.repeat(100)}/${i}.parquet`,
    }));
    const chunks = encode(changes);
    expect(chunks.length).toBeGreaterThan(2);
    for (const chunk of chunks) expect(chunk.length).toBeLessThan(1.1 * 1024 * 1024);
    expect(decoded(chunks).map(({ file: f }) => f?.filePath)).toEqual(
      changes.map((c) => c.kind === 'removed' && c.path),
    );
  });

  it('refuses a change that no message can have, with its size and what helps', () => {
    const [one] = fc.sample(file, { numRuns: 1, seed: 1 }) as [PlainFile];
    const columns = Array.from({ length: 7 }, (_, id) => ({ id, lower: new Uint8Array(1024 * 1024) }));
    const large: PlainChange = {
      ...{ kind: 'added', sequenceNumber: 1, fileSequenceNumber: 1, addedSnapshotId: 1n },
      file: { ...one, path: '/t/a.parquet', columns },
    };
    expect(() => encode([large])).toThrow(
      'the path and statistics of file /t/a.parquet have 7.0 MiB, at most 6.0 MiB are supported. Write the file again with shorter bounds',
    );
    expect(encode([{ ...large, file: { ...large.file, columns: columns.slice(2) } }])).toHaveLength(1);
  });

  it('writes nothing without changes', () => {
    expect(encode([])).toEqual([]);
  });
});
