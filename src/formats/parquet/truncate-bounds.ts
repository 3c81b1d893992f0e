import { primitiveType } from '../../stats/primitive-type.ts';

/** Footers may contain whole values. Iceberg's writers truncate bounds to 16 characters; this keeps more than scan planning needs. */
const MAX_BYTES = 64;

/** Truncates a lower bound of a string or binary column. The result never sorts after the bound. */
export function truncateLower(type: string, bound: Uint8Array): Uint8Array {
  if (!isTruncatable(type) || bound.length <= MAX_BYTES) return bound;
  return bound.subarray(0, isText(type) ? characterStart(bound, MAX_BYTES) : MAX_BYTES);
}

/** Truncates an upper bound and increments its last character or byte; undefined if none can be incremented. */
export function truncateUpper(type: string, bound: Uint8Array): Uint8Array | undefined {
  if (!isTruncatable(type) || bound.length <= MAX_BYTES) return bound;
  return isText(type)
    ? incrementLastCharacter(bound.subarray(0, characterStart(bound, MAX_BYTES)))
    : incrementLastByte(bound.slice(0, MAX_BYTES));
}

function isTruncatable(type: string): boolean {
  return isText(type) || primitiveType(type)?.kind === 'binary';
}

function isText(type: string): boolean {
  return type === 'string';
}

/** Start of the UTF-8 character that contains the byte at `at`. */
function characterStart(bytes: Uint8Array, at: number): number {
  let start = at;
  while (start > 0 && ((bytes[start] as number) & 0xc0) === 0x80) start--;
  return start;
}

function incrementLastByte(bytes: Uint8Array): Uint8Array | undefined {
  for (let last = bytes.length - 1; last >= 0; last--) {
    if (bytes[last] === 0xff) continue;
    bytes[last] = (bytes[last] as number) + 1;
    return bytes.subarray(0, last + 1);
  }
  return undefined;
}

function incrementLastCharacter(bytes: Uint8Array): Uint8Array | undefined {
  const characters = [...Buffer.from(bytes).toString('utf8')];
  for (let last = characters.length - 1; last >= 0; last--) {
    const code = (characters[last] as string).codePointAt(0) as number;
    // Surrogates are not characters, so they are skipped.
    const next = code === 0xd7ff ? 0xe000 : code + 1;
    if (next <= 0x10ffff) return Buffer.from(characters.slice(0, last).join('') + String.fromCodePoint(next));
  }
  return undefined;
}
