import { BACKSLASH, CLOSE_OBJECT, COMMA, LINE_FEED, OPEN_OBJECT, QUOTE, startsWith } from '../../json/json-bytes.ts';
import type { AddAction } from '../actions.ts';
import { readingOf } from '../columns/content-file.ts';
import type { DeltaSchema } from '../columns/delta-schema.ts';
import { EscapedStats } from '../columns/escaped-stats.ts';
import { FileStats } from '../columns/file-stats.ts';
import { NumberText } from '../columns/number-text.ts';
import type { FilePartition } from '../columns/partition-reader.ts';
import { parseLine } from '../log/json-lines.ts';
import { partitionValues } from '../log/log-actions.ts';

const ADD = Buffer.from('{"add":{');
/** In the order in which Spark and delta-rs write them. */
const FIELDS = [
  'path',
  'partitionValues',
  'size',
  'modificationTime',
  'dataChange',
  'stats',
  'tags',
  'deletionVector',
  'baseRowId',
  'defaultRowCommitVersion',
  'clusteringProvider',
] as const;
type Field = (typeof FIELDS)[number];
const KEYS = FIELDS.map((name) => Buffer.from(`"${name}":`));
const [NULL, TRUE, FALSE, NO_TAGS] = [
  Buffer.from('null'),
  Buffer.from('true'),
  Buffer.from('false'),
  Buffer.from('{}'),
];

/** Longer lines are read with all checks of their size (`parseLine`). */
const MAX_LINE_BYTES = 256 * 1024;
/** Partition values that are kept as they are in the log: most files share theirs with others. */
const MAX_KNOWN = 1_000;
const MAX_KNOWN_BYTES = 1_000;

type KnownValues = Pick<AddAction, 'partitionValues'> & { partition?: readonly FilePartition[] };

/**
 * Reads the lines of files that are added, without a string or an object for what they contain: a commit may have a million of them, and general
 * parsing takes most of the time. It reads what writers write: known fields, no white space, no escapes, and no deletion vector. For every other line,
 * the general way (`addAction`) has the same result.
 */
export class AddLine {
  /** The path in the line that was read last, URI-encoded as in the log. */
  path = '';
  size = 0;
  baseRowId: number | undefined;
  readonly stats = new FileStats();
  readonly plan;
  readonly #escaped = new EscapedStats();
  readonly #number = new NumberText();
  readonly #partitions;
  readonly #known = new Map<string, KnownValues>();
  #values: KnownValues | undefined;
  #bytes: Buffer = Buffer.alloc(0);
  #at = 0;

  constructor(schema: DeltaSchema, columnIds?: ReadonlySet<number>) {
    const { plan, partition } = readingOf(schema, columnIds);
    this.plan = plan;
    this.#partitions = partition;
  }

  /** @param end the position of the line feed that ends the line; @returns false if the line has to be read in the general way */
  read(bytes: Buffer, start: number, end: number): boolean {
    if (bytes[end] !== LINE_FEED || end - start > MAX_LINE_BYTES || !startsWith(bytes, start, ADD)) return false;
    this.#bytes = bytes;
    this.#at = start + ADD.length;
    this.path = '';
    this.size = -1;
    this.baseRowId = undefined;
    this.stats.start(this.plan.leaves.length);
    this.#values = undefined;
    let next = 0;
    let seen = 0;
    do {
      const field = this.#fieldFrom(next);
      // If a field occurs twice, its last value counts: the general parser reads such a line.
      if (field < 0 || seen & (1 << field)) return false;
      seen |= 1 << field;
      next = field + 1;
      this.#at += (KEYS[field] as Buffer).length;
      if (!this.#value(FIELDS[field] as Field)) return false;
    } while (bytes[this.#at++] === COMMA);
    const isWhole = bytes[this.#at - 1] === CLOSE_OBJECT && bytes[this.#at] === CLOSE_OBJECT && this.#at + 1 === end;
    return isWhole && this.path !== '' && this.size >= 0 && this.#values !== undefined;
  }

  /**
   * The partition's values, which many files share.
   *
   * @param path decoded, for messages
   * @throws CodedError `DATA_LOSS` if a value is none of its column's type
   */
  partition(path: string): readonly FilePartition[] {
    const values = this.#values as KnownValues;
    values.partition ??= this.#partitions.read(values, path);
    return values.partition;
  }

  /** The index of the field whose key is next: first those that usually follow. -1 if it is not known. */
  #fieldFrom(next: number): number {
    for (let field = next; field < KEYS.length; field++) {
      if (startsWith(this.#bytes, this.#at, KEYS[field] as Buffer)) return field;
    }
    for (let field = 0; field < next; field++) {
      if (startsWith(this.#bytes, this.#at, KEYS[field] as Buffer)) return field;
    }
    return -1;
  }

  #value(field: Field): boolean {
    switch (field) {
      case 'path':
        return this.#path();
      case 'partitionValues':
        return this.#partitionValues();
      case 'size': {
        const size = this.#integer();
        this.size = size ?? -1;
        return size !== undefined;
      }
      case 'stats':
        return this.#stats();
      case 'tags':
        return this.#literal(NULL) || this.#literal(NO_TAGS);
      case 'dataChange':
        return this.#literal(TRUE) || this.#literal(FALSE);
      case 'modificationTime':
        return this.#integer() !== undefined;
      case 'baseRowId': {
        if (this.#literal(NULL)) return true;
        this.baseRowId = this.#integer();
        return this.baseRowId !== undefined;
      }
      case 'defaultRowCommitVersion':
        return this.#literal(NULL) || this.#integer() !== undefined;
      default:
        return this.#literal(NULL);
    }
  }

  #path(): boolean {
    const bytes = this.#bytes;
    if (bytes[this.#at] !== QUOTE) return false;
    const start = this.#at + 1;
    let at = start;
    let all = 0;
    for (let code = bytes[at] as number; code !== QUOTE; code = bytes[++at] as number) {
      if (code < 0x20 || code === BACKSLASH) return false;
      all |= code;
    }
    this.path = all < 0x80 ? bytes.toString('latin1', start, at) : bytes.toString('utf8', start, at);
    this.#at = at + 1;
    return true;
  }

  #partitionValues(): boolean {
    const bytes = this.#bytes;
    if (bytes[this.#at] !== OPEN_OBJECT) return false;
    const start = this.#at;
    let at = start + 1;
    let isInString = false;
    for (let code = bytes[at] as number; isInString || code !== CLOSE_OBJECT; code = bytes[++at] as number) {
      if (code === QUOTE) isInString = !isInString;
      else if (code === BACKSLASH || code < 0x20 || (code === OPEN_OBJECT && !isInString)) return false;
    }
    at++;
    const text = bytes.toString('latin1', start, at);
    let values = this.#known.get(text);
    if (values === undefined) {
      // Broken JSON is reported for the line as a whole.
      try {
        values = { partitionValues: partitionValues(parseLine(bytes.toString('utf8', start, at))) };
      } catch {
        return false;
      }
      if (this.#known.size >= MAX_KNOWN) this.#known.clear();
      if (text.length <= MAX_KNOWN_BYTES) this.#known.set(text, values);
    }
    this.#values = values;
    this.#at = at;
    return true;
  }

  #stats(): boolean {
    if (this.#literal(NULL)) return true;
    if (this.#bytes[this.#at] !== QUOTE) return false;
    if (this.#bytes[this.#at + 1] === QUOTE) {
      this.#at += 2;
      return true;
    }
    const end = this.#escaped.read(this.#bytes, this.#at + 1, this.plan, this.stats);
    this.#at = end + 1;
    return end >= 0;
  }

  /** An integer from 0 on that is exact; undefined for anything else. */
  #integer(): number | undefined {
    const end = this.#number.read(this.#bytes, this.#at);
    if (end < 0) return undefined;
    this.#at = end;
    const value = this.#number.smallInteger;
    return value !== undefined && value >= 0 ? value : undefined;
  }

  #literal(literal: Buffer): boolean {
    if (!startsWith(this.#bytes, this.#at, literal)) return false;
    this.#at += literal.length;
    return true;
  }
}
