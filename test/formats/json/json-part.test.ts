import { expect, it } from '@jest/globals';
import fc from 'fast-check';
import { JsonFields } from '../../../src/formats/json/json-fields.ts';
import { JsonPart, openJson } from '../../../src/formats/json/json-part.ts';
import { parseLosslessJson } from '../../../src/formats/json/lossless-json.ts';
import { LimitError, MalformedError } from '../../../src/formats/malformed.ts';
import { atOnce } from '../../../src/formats/paced.ts';

/** A large document has the same values as JSON.parse finds in it, however it is written. */

/** Makes its array or object so large that it is read in parts. */
const PAD = `"${'p'.repeat(70_000)}"`;

const SPACES = fc.constantFrom('', '', '', ' ', '\n', '\t\r ');
const TEXTS = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 12 }).map((text) => JSON.stringify(text)),
  fc.constantFrom(
    '"\\u0041\\n\\/"',
    '"\\ud83d\\ude00"',
    '"\\ud800"',
    '"]}{[,:\\"\\\\"',
    '"12345678901234567890"',
    '"__proto__"',
    '""',
    `"${'\\"'.repeat(300)}${'x'.repeat(300)}\\\\"`,
    `"${'y'.repeat(256)}\\""`,
    `"${'\\\\'.repeat(128)}"`,
  ),
);
const NUMBERS = fc.constantFrom(
  '0',
  '-0',
  '1e400',
  '-1E+2',
  '0.1',
  '9007199254740993',
  '-9223372036854775808',
  '123456789012345678.5',
  '1e16',
);
const { json: JSON_TEXTS } = fc.letrec<{ json: string }>((tie) => ({
  json: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.oneof(TEXTS, NUMBERS, fc.constantFrom('true', 'false', 'null')),
    fc
      .tuple(SPACES, fc.array(tie('json'), { maxLength: 4 }))
      .map(([space, items]) => `[${space}${items.join(`${space},`)}${space}]`),
    fc
      .tuple(SPACES, fc.array(fc.tuple(TEXTS, tie('json')), { maxLength: 4 }))
      .map(
        ([space, members]) => `{${members.map(([key, value]) => `${space}${key}${space}:${space}${value}`)}${space}}`,
      ),
  ),
}));

/** A list and an object, both large, that contain these values. */
const documentOf = (values: readonly string[], keys: readonly string[]) =>
  `{"list":[${[...values, PAD, ...values]}],"pad":${PAD}, "pad2":${PAD},"object":{"pad":{"v":${PAD}}${values.map((value, i) => `,${keys[i]}:{"v":${value}}`).join('')}}}`;

const whole = (value: unknown) => (value instanceof JsonPart ? value.parsed('part') : value);

function read(document: unknown) {
  const fields = new JsonFields(document);
  return {
    list: atOnce(fields.eachValue('list', whole)),
    object: atOnce(fields.eachEntry('object', (key, member) => [key, whole(member.value('v'))])),
  };
}

const inParts = (bytes: Buffer) => read(atOnce(openJson(bytes, 'whole')));
const parsed = (text: string) => read(parseLosslessJson(text));

/** The order in which an engine returns the keys of an object, which begins with integers, does not matter. */
const sorted = ({ list, object }: ReturnType<typeof read>) => ({
  list,
  object: object.toSorted(([a], [b]) => (String(a) < String(b) ? -1 : 1)),
});

it('has the values that JSON.parse finds', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(JSON_TEXTS, TEXTS), { minLength: 1, maxLength: 5 }), (members) => {
      const text = documentOf(
        members.map(([value]) => value),
        members.map(([, key]) => key),
      );
      expect(sorted(inParts(Buffer.from(text)))).toStrictEqual(sorted(parsed(text)));
    }),
    { numRuns: 300 },
  );
});

it('fails with a named error or has these values, if a byte of it is damaged', () => {
  const edit = fc.tuple(fc.nat(), fc.constantFrom(...Buffer.from('{}[],:"\\0 \n\x01'), 0xc3, 0xff));
  fc.assert(
    fc.property(fc.array(JSON_TEXTS, { minLength: 1, maxLength: 5 }), edit, (values, [at, byte]) => {
      const bytes = Buffer.from(
        documentOf(
          values,
          values.map((_, i) => `"${i}"`),
        ),
      );
      // Not within a long text.
      const places = [...bytes.keys()].filter((i) => bytes[i] !== 0x70);
      bytes[places[at % places.length]!] = byte;
      const expected = attempt(() => sorted(parsed(bytes.toString())));
      const found = attempt(() => sorted(inParts(bytes)));
      if (found instanceof Error) expect(found instanceof MalformedError || found instanceof LimitError).toBe(true);
      // What is not read may be broken.
      if (!(expected instanceof Error)) expect(found).toStrictEqual(expected);
    }),
    { numRuns: 100 },
  );
});

function attempt<T>(work: () => T): T | Error {
  try {
    return work();
  } catch (error) {
    return error as Error;
  }
}
