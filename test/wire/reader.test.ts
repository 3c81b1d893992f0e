import { expect, it } from '@jest/globals';
import fc from 'fast-check';
import { FIXED32, FIXED64, LENGTH, VARINT, WireReader } from '../../src/wire/reader.ts';

/** Where reading the fields of a message ends, and why if it is malformed; with the negative numbers in it. */
function walk(bytes: Uint8Array, end: number, short: boolean): unknown[] {
  const reader = new WireReader(bytes);
  const negative: number[] = [];
  try {
    while ((short ? reader.skipShort(end) : reader.position) < end) {
      const tag = reader.tag(end);
      if ((tag & 7) === VARINT) {
        if (reader.int64(end) < 0) negative.push(reader.position);
      } else reader.skip(tag, end);
    }
    return [reader.position, negative];
  } catch (error) {
    return [(error as Error).message, negative];
  }
}

const varint = fc
  .tuple(fc.array(fc.integer({ min: 128, max: 255 }), { maxLength: 10 }), fc.integer({ max: 127, min: 0 }))
  .map(([high, last]) => [...high, last]);
const field = fc
  .tuple(fc.integer({ min: 0, max: 20 }), fc.constantFrom(VARINT, VARINT, LENGTH, LENGTH, FIXED64, FIXED32, 3))
  .chain(([number, type]) => {
    const tag = number * 8 + type;
    const head = tag < 128 ? [tag] : [(tag & 127) | 128, tag >> 7];
    const bytes = (length: number) => fc.array(fc.nat({ max: 255 }), { minLength: length, maxLength: length });
    const value =
      type === VARINT
        ? varint
        : type === LENGTH
          ? fc
              .oneof(fc.nat({ max: 5 }), fc.constantFrom(127, 128, 300))
              .chain((length) =>
                bytes(length).map((value) => [
                  ...(length < 128 ? [length] : [(length & 127) | 128, length >> 7]),
                  ...value,
                ]),
              )
          : bytes(type === FIXED64 ? 8 : 4);
    return value.map((rest) => [...head, ...rest]);
  });

it('skips fields in the short way exactly as it reads them one by one, malformed ones included', () => {
  fc.assert(
    fc.property(
      fc.array(field, { maxLength: 8 }).map((fields) => Uint8Array.from(fields.flat())),
      fc.nat({ max: 3 }),
      (bytes, cut) => {
        const end = Math.max(0, bytes.length - cut);
        expect(walk(bytes, end, true)).toEqual(walk(bytes, end, false));
      },
    ),
    { numRuns: 5000 },
  );
});
