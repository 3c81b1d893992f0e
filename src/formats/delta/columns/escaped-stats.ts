import { BACKSLASH, CLOSE_OBJECT, COMMA, MINUS, OPEN_OBJECT, QUOTE, startsWith } from '../../json/json-bytes.ts';
import { booleanBound, numberBound, slotOf, stringBound, textBound } from './bound-values.ts';
import type { FileStats } from './file-stats.ts';
import { addToHash, type Child, type Leaf, type LeafPlan, type PlanNode, STRING } from './leaf-plan.ts';
import { NumberText } from './number-text.ts';

const NUM_RECORDS = Buffer.from('\\"numRecords\\":');
const MIN_VALUES = Buffer.from('\\"minValues\\":');
const MAX_VALUES = Buffer.from('\\"maxValues\\":');
const NULL_COUNT = Buffer.from('\\"nullCount\\":');
const TIGHT_BOUNDS = Buffer.from('\\"tightBounds\\":');
const [NULL, TRUE, FALSE] = [Buffer.from('null'), Buffer.from('true'), Buffer.from('false')];

/** Columns without statistics that may come between two with statistics, before a name is looked up. */
const MAX_SKIPPED = 8;

type Section = 'lower' | 'upper' | 'nulls';

/**
 * Reads the statistics of a file (Delta protocol, "Per-file Statistics") where they are: in the bytes of a commit, as a JSON string. That is, their
 * quotes are escaped. It reads what writers write: no white space, no other escapes, no unknown fields. For everything else, the text has to be
 * unescaped and read with `StatsText`, which has the same result.
 */
export class EscapedStats {
  readonly #number = new NumberText();
  #bytes: Buffer = Buffer.alloc(0);
  #at = 0;
  #plan!: LeafPlan;
  #stats!: FileStats;

  /**
   * @param bytes with a control character behind the string, such as the end of its line
   * @param start of the text, after the string's quote
   * @returns the position of the quote that ends the string; -1 if the text is anything else
   */
  read(bytes: Buffer, start: number, plan: LeafPlan, stats: FileStats): number {
    stats.start(plan.leaves.length);
    this.#bytes = bytes;
    this.#at = start;
    this.#plan = plan;
    this.#stats = stats;
    return this.#members() && bytes[this.#at] === QUOTE ? this.#at : -1;
  }

  #members(): boolean {
    const bytes = this.#bytes;
    if (bytes[this.#at] !== OPEN_OBJECT) return false;
    this.#at++;
    if (bytes[this.#at] === CLOSE_OBJECT) return this.#skip(1);
    do {
      if (!this.#member()) return false;
    } while (this.#takeComma());
    return bytes[this.#at] === CLOSE_OBJECT && this.#skip(1);
  }

  #member(): boolean {
    const { root } = this.#plan;
    if (this.#takeKey(NUM_RECORDS)) {
      const count = this.#count();
      if (count < 0) return false;
      this.#stats.numRecords = count;
      return true;
    }
    if (this.#takeKey(MIN_VALUES)) return this.#struct(root, 'lower');
    if (this.#takeKey(MAX_VALUES)) return this.#struct(root, 'upper');
    if (this.#takeKey(NULL_COUNT)) return this.#struct(root, 'nulls');
    if (!this.#takeKey(TIGHT_BOUNDS)) return false;
    this.#stats.isTight = !startsWith(this.#bytes, this.#at, FALSE);
    return this.#takeLiteral(TRUE) || this.#takeLiteral(FALSE);
  }

  #struct(node: PlanNode, section: Section): boolean {
    const bytes = this.#bytes;
    if (bytes[this.#at] !== OPEN_OBJECT) return false;
    this.#at++;
    if (bytes[this.#at] === CLOSE_OBJECT) return this.#skip(1);
    const { children } = node;
    let next = 0;
    do {
      let child = children[next];
      if (child?.escapedKey === undefined || !startsWith(bytes, this.#at, child.escapedKey)) {
        child = this.#search(node, next + 1);
        if (child === undefined) return false;
      }
      next = child.position + 1;
      this.#at += (child.escapedKey as Buffer).length;
      const isRead =
        child.leaf !== undefined
          ? section === 'nulls'
            ? this.#nullCount(child.leaf)
            : this.#bound(child.leaf, section === 'upper')
          : child.node !== undefined
            ? this.#struct(child.node, section)
            : this.#passValue();
      if (!isRead) return false;
    } while (this.#takeComma());
    return bytes[this.#at] === CLOSE_OBJECT && this.#skip(1);
  }

  /** The child whose name is next; its columns are usually those of the schema in their order, without some. */
  #search(node: PlanNode, from: number): Child | undefined {
    const bytes = this.#bytes;
    const { children } = node;
    const to = Math.min(children.length, from + MAX_SKIPPED);
    for (let index = from; index < to; index++) {
      const child = children[index] as Child;
      if (child.escapedKey !== undefined && startsWith(bytes, this.#at, child.escapedKey)) return child;
    }
    let hash = 0;
    let at = this.#at + 2;
    for (let code = bytes[at] as number; code !== BACKSLASH; code = bytes[++at] as number) {
      if (code < 0x20 || code === QUOTE) return undefined;
      hash = addToHash(hash, code);
    }
    return node.findEscaped(bytes, this.#at, hash);
  }

  #nullCount(leaf: Leaf): boolean {
    const count = this.#count();
    if (count < 0) return false;
    this.#stats.nulls[leaf.index] = count;
    return true;
  }

  #bound(leaf: Leaf, isUpper: boolean): boolean {
    const code = this.#bytes[this.#at] as number;
    this.#stats.drop(slotOf(leaf, isUpper));
    if (code === BACKSLASH) return this.#string(leaf, isUpper);
    if (isNumberStart(code)) {
      if (!this.#takeNumber()) return false;
      numberBound(this.#stats, leaf, isUpper, this.#number);
      return true;
    }
    if (this.#takeLiteral(NULL)) return true;
    const isTrue = this.#takeLiteral(TRUE);
    if (!isTrue && !this.#takeLiteral(FALSE)) return false;
    booleanBound(this.#stats, leaf, isUpper, isTrue);
    return true;
  }

  /** A value of a column that is not read. */
  #passValue(): boolean {
    const code = this.#bytes[this.#at] as number;
    if (code === BACKSLASH) return this.#string();
    if (isNumberStart(code)) return this.#takeNumber();
    return this.#takeLiteral(NULL) || this.#takeLiteral(TRUE) || this.#takeLiteral(FALSE);
  }

  /** Passes over a string; it is a bound of the leaf if there is one. */
  #string(leaf?: Leaf, isUpper = false): boolean {
    const bytes = this.#bytes;
    if (bytes[this.#at + 1] !== QUOTE) return false;
    const start = this.#at + 2;
    let at = start;
    let all = 0;
    for (let code = bytes[at] as number; code !== BACKSLASH; code = bytes[++at] as number) {
      if (code < 0x20 || code === QUOTE) return false;
      all |= code;
    }
    if (bytes[at + 1] !== QUOTE) return false;
    this.#at = at + 2;
    if (leaf === undefined) return true;
    if (all < 0x80) textBound(this.#stats, leaf, isUpper, bytes, start, at);
    // Only here, bytes may not be UTF-8.
    else if (leaf.bounds === STRING)
      stringBound(this.#stats, slotOf(leaf, isUpper), isUpper, bytes.toString('utf8', start, at));
    else return false;
    return true;
  }

  /** -1 if there is no count. */
  #count(): number {
    if (!isNumberStart(this.#bytes[this.#at] as number) || !this.#takeNumber()) return -1;
    return this.#number.smallInteger ?? -1;
  }

  #takeNumber(): boolean {
    const end = this.#number.read(this.#bytes, this.#at);
    if (end < 0) return false;
    this.#at = end;
    return true;
  }

  #takeKey(key: Buffer): boolean {
    return startsWith(this.#bytes, this.#at, key) && this.#skip(key.length);
  }

  #takeLiteral(literal: Buffer): boolean {
    return startsWith(this.#bytes, this.#at, literal) && this.#skip(literal.length);
  }

  #takeComma(): boolean {
    return this.#bytes[this.#at] === COMMA && this.#skip(1);
  }

  #skip(bytes: number): true {
    this.#at += bytes;
    return true;
  }
}

const isNumberStart = (code: number) => code === MINUS || (code >= 0x30 && code <= 0x39);
