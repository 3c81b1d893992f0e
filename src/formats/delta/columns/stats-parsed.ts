import { booleanBound, finiteBound, numberBound, slotOf, stringBound, timestampBound } from './bound-values.ts';
import type { FileStats } from './file-stats.ts';
import { DATE, DOUBLE, FLOAT, type Leaf, type LeafPlan, type PlanNode, STRING, TIMESTAMP } from './leaf-plan.ts';
import { NumberText } from './number-text.ts';
import { MICROS_PER_DAY } from './time-text.ts';

type Struct = Readonly<Record<string, unknown>>;

const number = new NumberText();

/**
 * Reads `stats_parsed` of a checkpoint (Delta protocol, "Checkpoint Schema"). Its types are those that the columns had when the checkpoint was
 * written: an int may stand in a column that is a double now, and a date in one that is a timestamp.
 */
export function readParsedStats(parsed: Struct, plan: LeafPlan, stats: FileStats): void {
  stats.start(plan.leaves.length);
  stats.numRecords = countOf(parsed.numRecords);
  stats.isTight = parsed.tightBounds !== false;
  eachLeaf(plan.root, parsed.nullCount, (leaf, value) => {
    stats.nulls[leaf.index] = countOf(value);
  });
  eachLeaf(plan.root, parsed.minValues, (leaf, value) => writeBound(stats, leaf, false, value));
  eachLeaf(plan.root, parsed.maxValues, (leaf, value) => writeBound(stats, leaf, true, value));
}

function eachLeaf(node: PlanNode, values: unknown, read: (leaf: Leaf, value: unknown) => void): void {
  if (typeof values !== 'object' || values === null) return;
  for (const name of Object.keys(values)) {
    const child = node.byName(name);
    const value = (values as Struct)[name];
    if (child?.leaf !== undefined) read(child.leaf, value);
    else if (child?.node !== undefined) eachLeaf(child.node, value, read);
  }
}

/** @returns -1 if it is no count */
function countOf(value: unknown): number {
  const count = typeof value === 'bigint' ? Number(value) : value;
  return Number.isSafeInteger(count) && (count as number) >= 0 ? (count as number) : -1;
}

function writeBound(stats: FileStats, leaf: Leaf, isUpper: boolean, value: unknown): void {
  const slot = slotOf(leaf, isUpper);
  if (typeof value === 'boolean') booleanBound(stats, leaf, isUpper, value);
  else if (typeof value === 'string') {
    if (leaf.bounds === STRING) stringBound(stats, slot, isUpper, value);
    else numericBound(stats, leaf, isUpper, value);
  } else if (typeof value === 'bigint' && leaf.bounds === TIMESTAMP) {
    const days = Number(value / BigInt(MICROS_PER_DAY));
    // The writer took it from JSON text, which has milliseconds.
    timestampBound(stats, slot, isUpper, days, Number(value % BigInt(MICROS_PER_DAY)), value % 1000n !== 0n);
  } else if (typeof value === 'number' && (leaf.bounds === FLOAT || leaf.bounds === DOUBLE)) {
    finiteBound(stats, leaf, isUpper, value, leaf.wasFloat);
  } else if (typeof value === 'number' && (leaf.bounds === DATE || leaf.bounds === TIMESTAMP)) {
    if (value !== (value | 0)) return;
    if (leaf.bounds === DATE) stats.int32(slot, value);
    else timestampBound(stats, slot, isUpper, value, 0, true);
  } else if (typeof value === 'number' || typeof value === 'bigint') numericBound(stats, leaf, isUpper, String(value));
}

function numericBound(stats: FileStats, leaf: Leaf, isUpper: boolean, text: string): void {
  const bytes = Buffer.from(text);
  if (number.read(bytes, 0) === bytes.length) numberBound(stats, leaf, isUpper, number);
}
