import {
  BACKSLASH,
  CLOSE_ARRAY,
  CLOSE_OBJECT,
  COLON,
  COMMA,
  MINUS,
  OPEN_ARRAY,
  OPEN_OBJECT,
  QUOTE,
  startsWith,
} from '../../json/json-bytes.ts';
import { booleanBound, numberBound, slotOf, stringBound, textBound } from './bound-values.ts';
import type { FileStats } from './file-stats.ts';
import { addToHash, type Child, type Leaf, type LeafPlan, type PlanNode, STRING } from './leaf-plan.ts';
import { NumberText } from './number-text.ts';

/** Statistics beyond this length, in UTF-16 units, are not read. They have up to a few hundred bytes per column. */
const MAX_LENGTH = 16 * 1024 * 1024;
/** A buffer beyond this size is not kept for the next text. */
const KEPT_BYTES = 256 * 1024;
/** Levels of what is passed over. Statistics have as many as structs are nested. */
const MAX_DEPTH = 200;

const NUM_RECORDS = Buffer.from('"numRecords"');
const MIN_VALUES = Buffer.from('"minValues"');
const MAX_VALUES = Buffer.from('"maxValues"');
const NULL_COUNT = Buffer.from('"nullCount"');
const TIGHT_BOUNDS = Buffer.from('"tightBounds"');
const FALSE = Buffer.from('false');
const LITERALS = [Buffer.from('null'), Buffer.from('true'), FALSE];

type Section = 'lower' | 'upper' | 'nulls';

/**
 * Reads the statistics of a file from their JSON text (Delta protocol, "Per-file Statistics") in one pass, without an object for what it
 * contains: a table has millions of these texts. Accepts exactly what `JSON.parse` accepts.
 */
export class StatsText {
  readonly #number = new NumberText();
  /** The text in UTF-8, and a 0 that ends it. */
  #bytes = Buffer.alloc(KEPT_BYTES);
  #at = 0;
  #plan!: LeafPlan;
  #stats!: FileStats;
  /** The key that was read last: its start and hash, or the key itself if it contains escapes. */
  #keyStart = 0;
  #keyHash = 0;
  #key: string | undefined;

  /** @returns false if the text is not a JSON object, or too long; `stats` then contains nothing */
  read(text: string, plan: LeafPlan, stats: FileStats): boolean {
    stats.start(plan.leaves.length);
    if (text.length > MAX_LENGTH) return false;
    if (text.length * 3 >= this.#bytes.length || this.#bytes.length > KEPT_BYTES) {
      this.#bytes = Buffer.alloc(Math.max(KEPT_BYTES, text.length * 3 + 1));
    }
    const length = this.#bytes.write(text);
    this.#bytes[length] = 0;
    this.#at = 0;
    this.#plan = plan;
    this.#stats = stats;
    this.#skipSpace();
    const isRead = this.#members() && this.#at === length;
    if (!isRead) stats.clear(plan.leaves.length);
    return isRead;
  }

  #members(): boolean {
    if (!this.#take(OPEN_OBJECT)) return false;
    if (this.#take(CLOSE_OBJECT)) return true;
    do {
      if (!this.#readKey() || !this.#member()) return false;
    } while (this.#take(COMMA));
    return this.#take(CLOSE_OBJECT);
  }

  #member(): boolean {
    if (this.#isKey(NUM_RECORDS)) return this.#numRecords();
    if (this.#isKey(MIN_VALUES)) return this.#struct(this.#plan.root, 'lower');
    if (this.#isKey(MAX_VALUES)) return this.#struct(this.#plan.root, 'upper');
    if (this.#isKey(NULL_COUNT)) return this.#struct(this.#plan.root, 'nulls');
    if (this.#isKey(TIGHT_BOUNDS)) this.#stats.isTight = !startsWith(this.#bytes, this.#at, FALSE);
    return this.#pass(0);
  }

  #numRecords(): boolean {
    this.#stats.numRecords = -1;
    if (!isNumberStart(this.#bytes[this.#at] as number)) return this.#pass(0);
    if (!this.#takeNumber()) return false;
    this.#stats.numRecords = this.#count;
    return true;
  }

  #isKey(quoted: Buffer): boolean {
    if (this.#key === undefined) return startsWith(this.#bytes, this.#keyStart, quoted);
    return `"${this.#key}"` === quoted.toString();
  }

  /** The members of a struct; anything else is passed over. */
  #struct(node: PlanNode, section: Section): boolean {
    if (!this.#take(OPEN_OBJECT)) return this.#pass(0);
    if (this.#take(CLOSE_OBJECT)) return true;
    const bytes = this.#bytes;
    let next = 0;
    do {
      let child: Child | undefined = node.children[next];
      if (child !== undefined && startsWith(bytes, this.#at, child.key)) {
        this.#at = spaceEnd(bytes, this.#at + child.key.length);
      } else {
        if (!this.#readKey()) return false;
        child = this.#key === undefined ? node.find(bytes, this.#keyStart, this.#keyHash) : node.byName(this.#key);
      }
      if (child !== undefined) next = child.position + 1;
      const isRead =
        child?.leaf !== undefined
          ? this.#value(child.leaf, section)
          : child?.node !== undefined
            ? this.#struct(child.node, section)
            : this.#pass(0);
      if (!isRead) return false;
    } while (this.#take(COMMA));
    return this.#take(CLOSE_OBJECT);
  }

  #value(leaf: Leaf, section: Section): boolean {
    const code = this.#bytes[this.#at] as number;
    if (section === 'nulls') {
      this.#stats.nulls[leaf.index] = -1;
      if (!isNumberStart(code)) return this.#pass(0);
      if (!this.#takeNumber()) return false;
      this.#stats.nulls[leaf.index] = this.#count;
      return true;
    }
    const isUpper = section === 'upper';
    this.#stats.drop(slotOf(leaf, isUpper));
    if (code === QUOTE) return this.#string(leaf, isUpper);
    if (isNumberStart(code)) {
      if (!this.#takeNumber()) return false;
      numberBound(this.#stats, leaf, isUpper, this.#number);
      return true;
    }
    if (code === 0x74 || code === 0x66) booleanBound(this.#stats, leaf, isUpper, code === 0x74);
    return this.#pass(0);
  }

  #takeNumber(): boolean {
    const end = this.#number.read(this.#bytes, this.#at);
    if (end < 0) return false;
    this.#at = spaceEnd(this.#bytes, end);
    return true;
  }

  /** The number that was read last if it is a count, otherwise -1. */
  get #count(): number {
    const count = this.#number.smallInteger ?? -1;
    return count < 0 ? -1 : count;
  }

  /** Passes over a string; it is a bound of the leaf if there is one. */
  #string(leaf?: Leaf, isUpper = false): boolean {
    const bytes = this.#bytes;
    const start = this.#at + 1;
    let at = start;
    let isEscaped = false;
    for (;;) {
      const code = bytes[at] as number;
      if (code === QUOTE) break;
      if (code === BACKSLASH) {
        isEscaped = true;
        at++;
      } else if (code < 0x20) return false;
      at++;
    }
    this.#at = at + 1;
    if (isEscaped) {
      const value = parsedString(bytes.toString('utf8', start - 1, at + 1));
      if (value === undefined) return false;
      if (leaf) this.#escaped(leaf, isUpper, value);
    } else if (leaf) textBound(this.#stats, leaf, isUpper, bytes, start, at);
    return this.#skipSpace();
  }

  #escaped(leaf: Leaf, isUpper: boolean, value: string): void {
    if (leaf.bounds === STRING) stringBound(this.#stats, slotOf(leaf, isUpper), isUpper, value);
    else {
      const bytes = Buffer.from(value);
      textBound(this.#stats, leaf, isUpper, bytes, 0, bytes.length);
    }
  }

  #readKey(): boolean {
    const bytes = this.#bytes;
    if (bytes[this.#at] !== QUOTE) return false;
    const start = this.#at + 1;
    let at = start;
    let hash = 0;
    for (;;) {
      const code = bytes[at] as number;
      if (code === QUOTE) break;
      if (code === BACKSLASH) return this.#escapedKey();
      if (code < 0x20) return false;
      hash = addToHash(hash, code);
      at++;
    }
    this.#key = undefined;
    this.#keyStart = start - 1;
    this.#keyHash = hash;
    this.#at = at + 1;
    return this.#colon();
  }

  #escapedKey(): boolean {
    const start = this.#at;
    if (!this.#string()) return false;
    this.#key = parsedString(this.#bytes.toString('utf8', start, this.#at).trimEnd());
    return this.#colon();
  }

  #colon(): boolean {
    this.#skipSpace();
    return this.#take(COLON);
  }

  /** Passes over a value of any kind. */
  #pass(depth: number): boolean {
    const code = this.#bytes[this.#at] as number;
    if (code === QUOTE) return this.#string();
    if (code === OPEN_OBJECT || code === OPEN_ARRAY) return depth < MAX_DEPTH && this.#passAll(code, depth + 1);
    for (const literal of LITERALS) {
      if (startsWith(this.#bytes, this.#at, literal)) {
        this.#at += literal.length;
        return this.#skipSpace();
      }
    }
    return this.#takeNumber();
  }

  #passAll(open: number, depth: number): boolean {
    const close = open === OPEN_OBJECT ? CLOSE_OBJECT : CLOSE_ARRAY;
    this.#take(open);
    if (this.#take(close)) return true;
    do {
      if (open === OPEN_OBJECT && !this.#readKey()) return false;
      if (!this.#pass(depth)) return false;
    } while (this.#take(COMMA));
    return this.#take(close);
  }

  /** Passes over a character and the white space after it, if it is this one. */
  #take(code: number): boolean {
    if (this.#bytes[this.#at] !== code) return false;
    this.#at++;
    return this.#skipSpace();
  }

  #skipSpace(): true {
    this.#at = spaceEnd(this.#bytes, this.#at);
    return true;
  }
}

const isNumberStart = (code: number) => code === MINUS || (code >= 0x30 && code <= 0x39);

function spaceEnd(bytes: Buffer, start: number): number {
  return (bytes[start] as number) > 0x20 ? start : longSpaceEnd(bytes, start);
}

function longSpaceEnd(bytes: Buffer, start: number): number {
  let at = start;
  while (bytes[at] === 0x20 || bytes[at] === 0x0a || bytes[at] === 0x0d || bytes[at] === 0x09) at++;
  return at;
}

function parsedString(json: string): string | undefined {
  try {
    return JSON.parse(json) as string;
  } catch {
    return undefined;
  }
}
