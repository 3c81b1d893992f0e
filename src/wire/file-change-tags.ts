import { COLUMN, COLUMNS } from '../formats/columns/packed-columns.ts';
import { LENGTH, VARINT } from './reader.ts';

export { COLUMN };

const varint = (field: number) => (field << 3) | VARINT;
const message = (field: number) => (field << 3) | LENGTH;

/**
 * Tags (field number << 3 | wire type) of the messages in which file changes are sent and stored. The field numbers are those of
 * statistics.proto; a test compares the encoded messages with the generated encoder's output.
 */
export const REQUEST = { changes: message(2) };
export const CHANGES = { change: message(1) };
export const CHANGE = {
  kind: varint(1),
  file: message(2),
  sequenceNumber: varint(3),
  fileSequenceNumber: varint(4),
  addedSnapshotId: varint(5),
  entryNumber: varint(6),
  replacesLive: varint(7),
  isUpperBound: varint(8),
  ifVector: message(9),
};
export const IF_VECTOR = { path: message(1), contentOffset: varint(2) };
export const FILE = {
  path: message(1),
  content: varint(2),
  format: varint(3),
  recordCount: varint(4),
  fileSize: varint(5),
  specId: varint(6),
  partition: message(7),
  column: COLUMNS,
  contentOffset: varint(9),
  contentSize: varint(10),
  referencedDataFile: message(11),
  equalityIds: message(12),
  sortOrderId: varint(13),
  splitOffsets: message(14),
  firstRowId: varint(15),
  inlineContent: message(19),
  schemaId: varint(20),
};
export const PARTITION = { fieldId: varint(1), name: message(2), type: message(3), value: message(4) };
