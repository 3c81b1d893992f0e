import { booleanBound, numberBound, slotOf, textBound } from './bound-values.ts';
import type { FileStats } from './file-stats.ts';
import { HASH_FACTOR, type Leaf, type LeafPlan, type PlanNode } from './leaf-plan.ts';
import { NumberText } from './number-text.ts';

/** Levels of what is passed over. Statistics have as many as structs are nested. */
const MAX_DEPTH = 200;

const QUOTE = 0x22;
const COMMA = 0x2c;
const MINUS = 0x2d;
const COLON = 0x3a;
const BACKSLASH = 0x5c;
const OPEN_ARRAY = 0x5b;
const CLOSE_ARRAY = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;

type Section = 'minValues' | 'maxValues' | 'nullCount';

/**
 * Reads the statistics of a file from their JSON text (Delta protocol, "Per-file Statistics") in one pass, without an object for what it
 * contains: a table has millions of these texts. Accepts exactly what `JSON.parse` accepts.
 */
export class StatsText {
  readonly #number = new NumberText();
  #text = '';
  #at = 0;
  #plan!: LeafPlan;
  #stats!: FileStats;
  /** The key that was read last: its hash and start, or the key itself if it contains escapes. */
  #keyHash = 0;
  #keyStart = 0;
  #key: string | undefined;

  /** @returns false if the text is not a JSON object; `stats` then contains nothing */
  read(text: string, plan: LeafPlan, stats: FileStats): boolean {
    this.#text = text;
    this.#at = 0;
    this.#plan = plan;
    this.#stats = stats;
    stats.start(plan.leaves.length);
    this.#skipSpace();
    const isRead = this.#members() && this.#at === text.length;
    this.#text = '';
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
    if (this.#isKey('numRecords')) return this.#numRecords();
    for (const section of ['minValues', 'maxValues', 'nullCount'] as const) {
      if (this.#isKey(section)) return this.#struct(this.#plan.root, section);
    }
    if (this.#isKey('tightBounds')) this.#stats.isTight = !this.#text.startsWith('false', this.#at);
    return this.#pass(0);
  }

  #isKey(name: string): boolean {
    if (this.#key !== undefined) return this.#key === name;
    return this.#text.startsWith(name, this.#keyStart) && this.#text.charCodeAt(this.#keyStart + name.length) === QUOTE;
  }

  #numRecords(): boolean {
    this.#stats.numRecords = this.#count();
    return this.#pass(0);
  }

  /** The integer at this position, which stays; -1 if it is none, or negative. */
  #count(): number {
    if (this.#number.read(this.#text, this.#at) < 0) return -1;
    return Math.max(-1, this.#number.smallInteger ?? -1);
  }

  /** The members of a struct; anything else is passed over. */
  #struct(node: PlanNode, section: Section): boolean {
    if (!this.#take(OPEN_OBJECT)) return this.#pass(0);
    if (this.#take(CLOSE_OBJECT)) return true;
    do {
      if (!this.#readKey()) return false;
      const child =
        this.#key === undefined ? node.find(this.#keyHash, this.#text, this.#keyStart) : node.byName(this.#key);
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
    if (section === 'nullCount') {
      this.#stats.nulls[leaf.index] = this.#count();
      return this.#pass(0);
    }
    const isUpper = section === 'maxValues';
    this.#stats.drop(slotOf(leaf, isUpper));
    const code = this.#text.charCodeAt(this.#at);
    if (code === QUOTE) return this.#string(leaf, isUpper);
    if (code === MINUS || (code >= 0x30 && code <= 0x39)) {
      const end = this.#number.read(this.#text, this.#at);
      if (end < 0) return false;
      this.#at = end;
      numberBound(this.#stats, leaf, isUpper, this.#number);
      return this.#skipSpace();
    }
    if (code === 0x74 || code === 0x66) booleanBound(this.#stats, leaf, isUpper, code === 0x74);
    return this.#pass(0);
  }

  /** Passes over a string; it is a bound of the leaf if there is one. */
  #string(leaf?: Leaf, isUpper = false): boolean {
    const text = this.#text;
    const start = this.#at + 1;
    let at = start;
    let isAscii = true;
    let isEscaped = false;
    for (;;) {
      const code = text.charCodeAt(at);
      if (code === QUOTE) break;
      if (code === BACKSLASH) {
        isEscaped = true;
        at++;
      } else if (code > 0x7e) isAscii = false;
      else if (!(code >= 0x20)) return false;
      at++;
    }
    this.#at = at + 1;
    if (isEscaped) {
      const value = parsedString(text.slice(start - 1, at + 1));
      if (value === undefined) return false;
      if (leaf) textBound(this.#stats, leaf, isUpper, value, 0, value.length, false);
    } else if (leaf) textBound(this.#stats, leaf, isUpper, text, start, at, isAscii);
    return this.#skipSpace();
  }

  #readKey(): boolean {
    const text = this.#text;
    if (text.charCodeAt(this.#at) !== QUOTE) return false;
    const start = this.#at + 1;
    let at = start;
    let hash = 0;
    for (;;) {
      const code = text.charCodeAt(at);
      if (code === QUOTE) break;
      if (code === BACKSLASH) return this.#escapedKey();
      if (!(code >= 0x20)) return false;
      hash = (Math.imul(hash, HASH_FACTOR) + code) | 0;
      at++;
    }
    this.#key = undefined;
    this.#keyHash = hash;
    this.#keyStart = start;
    this.#at = at + 1;
    return this.#colon();
  }

  #escapedKey(): boolean {
    const start = this.#at;
    if (!this.#string()) return false;
    this.#key = parsedString(this.#text.slice(start, this.#at).trimEnd());
    return this.#colon();
  }

  #colon(): boolean {
    this.#skipSpace();
    return this.#take(COLON);
  }

  /** Passes over a value of any kind. */
  #pass(depth: number): boolean {
    const code = this.#text.charCodeAt(this.#at);
    if (code === QUOTE) return this.#string();
    if (code === OPEN_OBJECT || code === OPEN_ARRAY) return depth < MAX_DEPTH && this.#passAll(code, depth + 1);
    for (const literal of LITERALS) {
      if (this.#text.startsWith(literal, this.#at)) {
        this.#at += literal.length;
        return this.#skipSpace();
      }
    }
    const end = this.#number.read(this.#text, this.#at);
    if (end < 0) return false;
    this.#at = end;
    return this.#skipSpace();
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
    if (this.#text.charCodeAt(this.#at) !== code) return false;
    this.#at++;
    return this.#skipSpace();
  }

  #skipSpace(): true {
    for (;;) {
      const code = this.#text.charCodeAt(this.#at);
      if (code > 0x20 || (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09)) return true;
      this.#at++;
    }
  }
}

const LITERALS = ['null', 'true', 'false'];

function parsedString(json: string): string | undefined {
  try {
    return JSON.parse(json) as string;
  } catch {
    return undefined;
  }
}
