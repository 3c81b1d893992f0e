import { CodedError } from '../../errors.ts';
import { broken } from './broken.ts';

interface Reader {
  view: DataView;
  offset: number;
}

const TRUE = 1;
const FALSE = 2;
const BYTE = 3;
const I64 = 6;
const DOUBLE = 7;
const BINARY = 8;
const LIST = 9;
const STRUCT = 12;

/** parquet.thrift has fewer than ten levels. */
const MAX_DEPTH = 32;
/** A 64-bit varint has seven bits per byte. */
const MAX_VARINT_BYTES = 10;

/**
 * Checks a structure in thrift's compact protocol (thrift-compact-protocol.md) before hyparquet parses it. hyparquet trusts the lengths of
 * lists and would create any number of objects. The reader's position does not change.
 *
 * @param maxElements limit for fields and list elements together
 * @throws CodedError `DATA_LOSS` if it is corrupt or truncated, `FAILED_PRECONDITION` if it has more than `maxElements`
 */
export function checkThrift({ view, offset }: Reader, maxElements: number): void {
  let at = offset;
  let remaining = maxElements;

  function take(length: number): number {
    const start = at;
    if (length > view.byteLength - at) throw broken('a thrift structure is truncated');
    at += length;
    return start;
  }

  function byte(): number {
    return view.getUint8(take(1));
  }

  function varint(): number {
    let value = 0;
    for (let index = 0; index < MAX_VARINT_BYTES; index++) {
      const next = byte();
      value += (next & 0x7f) * 2 ** (7 * index);
      if (next < 0x80) return value;
    }
    throw broken('a thrift structure has a number of more than 64 bits');
  }

  function count(elements: number): void {
    remaining -= elements;
    if (remaining < 0)
      throw new CodedError('FAILED_PRECONDITION', `a thrift structure has more than ${maxElements} elements`);
  }

  function struct(depth: number): void {
    for (;;) {
      const header = byte();
      const type = header & 0x0f;
      if (type === 0) return;
      if (header >> 4 === 0) varint();
      count(1);
      if (type !== TRUE && type !== FALSE) element(type, depth);
    }
  }

  function element(type: number, depth: number): void {
    if (depth > MAX_DEPTH) throw broken(`a thrift structure has more than ${MAX_DEPTH} levels`);
    if (type <= BYTE) take(1);
    else if (type <= I64) varint();
    else if (type === DOUBLE) take(8);
    else if (type === BINARY) take(varint());
    else if (type === LIST) list(depth + 1);
    else if (type === STRUCT) struct(depth + 1);
    else throw broken(`a thrift structure has the type ${type}, which Parquet does not use`);
  }

  function list(depth: number): void {
    const header = byte();
    const size = header >> 4 === 15 ? varint() : header >> 4;
    // Every element has at least one byte.
    if (size > view.byteLength - at)
      throw broken(`a thrift structure has a list of ${size} elements in ${view.byteLength - at} bytes`);
    count(size);
    for (let index = 0; index < size; index++) element(header & 0x0f, depth);
  }

  struct(0);
}
