import type { AvroCursor } from '../../avro/cursor.ts';
import type { ColumnCollector } from '../../columns/column-collector.ts';

/** What a map's values are collected in. */
export interface MetricTarget {
  readonly columns: ColumnCollector;
  /** Whether the metrics of a column are read. */
  includes(id: number): boolean;
  /** Reads the bound of a column that is not included. */
  other(cursor: AvroCursor, column: number, side: number): void;
}

/**
 * Reads a map from column id to a count. A negative count, and one that cannot be, means that the writer did not know it.
 *
 * Positions are local variables, and numbers of one or two bytes are read here, because this runs for every column of every file: with a call per
 * number, the worker needs an eighth more time. All other numbers, and the end of the block, are left to the cursor.
 */
export function readCounts(cursor: AvroCursor, target: MetricTarget, kind: number): void {
  const { buffer } = cursor;
  const { columns } = target;
  columns.startMap();
  for (let pairs = cursor.readBlockCount(); pairs > 0; pairs = cursor.readBlockCount()) {
    let at = cursor.position;
    for (; pairs > 0; pairs--) {
      let id = buffer[at] as number;
      if (id < 0x80) {
        at++;
        id = (id >>> 1) ^ -(id & 1);
      } else {
        cursor.position = at;
        id = cursor.readLong();
        at = cursor.position;
      }
      let count = buffer[at] as number;
      const second = buffer[at + 1] as number;
      if (count < 0x80) {
        at++;
        count = (count >>> 1) ^ -(count & 1);
      } else if (second < 0x80) {
        at += 2;
        count = (count & 0x7f) | (second << 7);
        count = (count >>> 1) ^ -(count & 1);
      } else {
        cursor.position = at;
        count = cursor.readLong(-1);
        at = cursor.position;
      }
      if (count >= 0 && target.includes(id)) columns.setCount(columns.column(id), kind, count);
    }
    cursor.position = at;
    cursor.requireInside();
  }
}

/** Reads a map from column id to a bound, like `readCounts`. */
export function readBounds(cursor: AvroCursor, target: MetricTarget, side: number): void {
  const { buffer } = cursor;
  const { columns } = target;
  columns.startMap();
  for (let pairs = cursor.readBlockCount(); pairs > 0; pairs = cursor.readBlockCount()) {
    let at = cursor.position;
    for (; pairs > 0; pairs--) {
      let id = buffer[at] as number;
      if (id < 0x80) {
        at++;
        id = (id >>> 1) ^ -(id & 1);
      } else {
        cursor.position = at;
        id = cursor.readLong();
        at = cursor.position;
      }
      const length = (buffer[at] as number) >>> 1;
      const start = at + 1;
      // A length of one byte that is not negative.
      if (((buffer[at] as number) & 0x81) === 0 && start + length <= buffer.length && target.includes(id)) {
        columns.setBound(columns.column(id), side, start, length);
        at = start + length;
        continue;
      }
      cursor.position = at;
      if (target.includes(id)) {
        const from = cursor.skipBytes();
        columns.setBound(columns.column(id), side, from, cursor.position - from);
      } else target.other(cursor, id, side);
      at = cursor.position;
    }
    cursor.position = at;
    cursor.requireInside();
  }
}
