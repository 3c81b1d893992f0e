import type { DataFile, FileColumnStats } from '../../generated/reconciler/v1/statistics.ts';
import { compareBounds } from '../../stats/bounds.ts';
import type { LeafColumn } from '../../stats/leaf-columns.ts';
import { type CandidateDeletes, type PlannedFile, partitionOf } from '../store/files/delete-index.ts';
import type { LiveFile } from '../store/files/live-files.ts';

/**
 * The delete files that a reader must apply to a data file (Iceberg spec, "Scan Planning"). Like Iceberg Java
 * (DeleteFileIndex.forDataFile), it leaves out equality deletes whose statistics show that they cannot match.
 *
 * @param decode returns a delete file's message
 * @param find finds a column in the snapshot's schemas by id
 */
export function deletesFor(
  data: PlannedFile,
  candidates: CandidateDeletes,
  decode: (live: LiveFile) => DataFile,
  find: (id: number) => LeafColumn | undefined,
): LiveFile[] {
  const sequence = data.live.sequenceNumber;
  const partition = partitionOf(data.live);
  const equality = [...candidates.global, ...(candidates.equality.get(partition) ?? [])].filter(
    // Strictly newer: an equality delete does not apply to rows of the same commit.
    (live) => live.sequenceNumber > sequence && mayMatch(data.file, decode(live), find),
  );
  const isNewEnough = (live: LiveFile) => live.sequenceNumber >= sequence;
  const vectors = (candidates.vectors.get(data.file.filePath) ?? []).filter(isNewEnough);
  // A deletion vector includes all earlier position deletes of the file.
  if (vectors.length > 0) return [...equality, ...vectors];
  const inPartition = (candidates.position.get(partition) ?? []).filter(isNewEnough);
  const forFile = (candidates.byPath.get(data.file.filePath) ?? []).filter(isNewEnough);
  return [...equality, ...inPartition, ...forFile];
}

/** Whether an equality delete file can match a row of the data file, judging by null counts and bounds of the compared columns. */
function mayMatch(data: DataFile, del: DataFile, find: (id: number) => LeafColumn | undefined): boolean {
  return del.equalityIds.every((id) => {
    const column = find(id);
    // Nothing is known about a column that is not primitive or no longer in any schema.
    if (!column) return true;
    const [dataStats, deleteStats] = [statsOf(data, id), statsOf(del, id)];
    if (mayHoldNull(dataStats, column) && mayHoldNull(deleteStats, column)) return true;
    if (onlyNulls(dataStats, column) && noNulls(deleteStats, column)) return false;
    if (onlyNulls(deleteStats, column) && noNulls(dataStats, column)) return false;
    return mayOverlap(dataStats, deleteStats, column.type);
  });
}

function statsOf(file: DataFile, id: number): FileColumnStats | undefined {
  return file.columns.find((column) => column.columnId === id);
}

function mayHoldNull(stats: FileColumnStats | undefined, column: LeafColumn): boolean {
  return !column.required && (stats?.nullCount === undefined || stats.nullCount > 0n);
}

function noNulls(stats: FileColumnStats | undefined, column: LeafColumn): boolean {
  return column.required || (stats?.nullCount !== undefined && stats.nullCount <= 0n);
}

function onlyNulls(stats: FileColumnStats | undefined, column: LeafColumn): boolean {
  if (column.required || stats?.nullCount === undefined || stats.valueCount === undefined) return false;
  return stats.nullCount === stats.valueCount;
}

function mayOverlap(a: FileColumnStats | undefined, b: FileColumnStats | undefined, type: string): boolean {
  const bounds = [a?.lowerBound, a?.upperBound, b?.lowerBound, b?.upperBound];
  if (!bounds.every((bound) => bound !== undefined)) return true;
  return overlap(type, bounds) || (type === 'uuid' && overlap(type, bounds.map(asJavaOrders)));
}

function overlap(type: string, [aLower, aUpper, bLower, bUpper]: Uint8Array[]): boolean {
  return compareBounds(type, aLower!, bUpper!) <= 0 && compareBounds(type, bLower!, aUpper!) <= 0;
}

/**
 * Iceberg Java orders UUIDs by two signed halves, and Parquet by unsigned bytes (apache/iceberg issue 14216). It is not known which order the
 * bounds are in, so that a delete is left out only if it cannot match in either.
 */
function asJavaOrders(uuid: Uint8Array): Uint8Array {
  return uuid.map((byte, i) => (i === 0 || i === 8 ? byte ^ 0x80 : byte));
}
