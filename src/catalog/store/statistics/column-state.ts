import { compareBounds } from '../../../stats/bounds.ts';
import type { StoredColumnMetrics } from '../files/stored-columns.ts';

/** A sum over files. */
interface Sum {
  total: number;
  /** Number of files that have the metric. */
  files: number;
}

/** Metrics of one column over some files. */
export interface ColumnTotals {
  values: Sum;
  nulls: Sum;
  nans: Sum;
  size: Sum;
  lower?: Uint8Array;
  upper?: Uint8Array;
  /** Number of files that have a lower or an upper bound. */
  lowerFiles: number;
  upperFiles: number;
  /** Number of files that have records but no bounds, since all values are null or NaN. */
  boundless: number;
}

/** Statistics of the columns of some data files, to which files can be added and from which most files can be removed. */
export class ColumnState {
  files = 0;
  /** Number of files without records, which have no bounds. */
  emptyFiles = 0;
  readonly columns = new Map<number, ColumnTotals>();
  readonly #typeOf: (columnId: number) => string;

  /** @param typeOf the Iceberg type in which a column's bounds are compared */
  constructor(typeOf: (columnId: number) => string) {
    this.#typeOf = typeOf;
  }

  add(file: { records: number; columns: readonly StoredColumnMetrics[] }): void {
    this.files += 1;
    if (file.records === 0) this.emptyFiles += 1;
    for (const metrics of file.columns) {
      const totals = this.#column(metrics.id);
      for (const name of SUMS) addTo(totals[name], metrics[name], 1);
      if (file.records === 0) continue;
      if (hasNoValues(metrics)) {
        totals.boundless += 1;
        continue;
      }
      const type = this.#typeOf(metrics.id);
      if (metrics.lower) {
        totals.lowerFiles += 1;
        if (!totals.lower || compareBounds(type, metrics.lower, totals.lower) < 0)
          totals.lower = new Uint8Array(metrics.lower);
      }
      if (metrics.upper) {
        totals.upperFiles += 1;
        if (!totals.upper || compareBounds(type, metrics.upper, totals.upper) > 0)
          totals.upper = new Uint8Array(metrics.upper);
      }
    }
  }

  /** @returns false if the file has a minimum or maximum, so that the bounds of the others are unknown. Discard the state then. */
  remove(file: { records: number; columns: readonly StoredColumnMetrics[] }): boolean {
    this.files -= 1;
    if (file.records === 0) this.emptyFiles -= 1;
    for (const metrics of file.columns) {
      const totals = this.#column(metrics.id);
      for (const name of SUMS) addTo(totals[name], metrics[name], -1);
      if (file.records === 0) continue;
      if (hasNoValues(metrics)) {
        totals.boundless -= 1;
        continue;
      }
      const type = this.#typeOf(metrics.id);
      if (metrics.lower) {
        totals.lowerFiles -= 1;
        if (!totals.lower || compareBounds(type, metrics.lower, totals.lower) <= 0) return false;
      }
      if (metrics.upper) {
        totals.upperFiles -= 1;
        if (!totals.upper || compareBounds(type, metrics.upper, totals.upper) >= 0) return false;
      }
    }
    return true;
  }

  /** A sum; undefined if a file lacks the metric or the sum is not exact. */
  sum(column: ColumnTotals | undefined, name: (typeof SUMS)[number]): bigint | undefined {
    if (!column || column[name].files !== this.files || !Number.isSafeInteger(column[name].total)) return undefined;
    return BigInt(column[name].total);
  }

  /** A bound; undefined if a file has values but no bound. */
  bound(column: ColumnTotals | undefined, name: 'lower' | 'upper'): Uint8Array | undefined {
    if (!column) return undefined;
    const bounded = name === 'lower' ? column.lowerFiles : column.upperFiles;
    return bounded + column.boundless + this.emptyFiles === this.files ? column[name] : undefined;
  }

  #column(id: number): ColumnTotals {
    let totals = this.columns.get(id);
    if (!totals) {
      const none = () => ({ total: 0, files: 0 });
      totals = {
        values: none(),
        nulls: none(),
        nans: none(),
        size: none(),
        lowerFiles: 0,
        upperFiles: 0,
        boundless: 0,
      };
      this.columns.set(id, totals);
    }
    return totals;
  }

  toText(): string {
    return JSON.stringify({ files: this.files, emptyFiles: this.emptyFiles, columns: [...this.columns] }, (_, value) =>
      value instanceof Uint8Array ? Buffer.from(value).toString('base64') : (value as unknown),
    );
  }

  static fromText(text: string, typeOf: (columnId: number) => string): ColumnState {
    const stored = JSON.parse(text, (key, value) =>
      (key === 'lower' || key === 'upper') && typeof value === 'string'
        ? new Uint8Array(Buffer.from(value, 'base64'))
        : (value as unknown),
    ) as { files: number; emptyFiles: number; columns: [number, ColumnTotals][] };
    const state = new ColumnState(typeOf);
    state.files = stored.files;
    state.emptyFiles = stored.emptyFiles;
    for (const [id, totals] of stored.columns) state.columns.set(id, totals);
    return state;
  }
}

const SUMS = ['values', 'nulls', 'nans', 'size'] as const;

function addTo(sum: Sum, part: number | undefined, sign: 1 | -1): void {
  if (part === undefined) return;
  sum.files += sign;
  // A sum beyond 2^53 is not exact, and stays inexact if parts are subtracted.
  sum.total = Number.isSafeInteger(sum.total) ? sum.total + sign * part : Number.NaN;
}

/** Whether all values are known to be null or NaN, so that the column has no bounds. */
function hasNoValues({ values, nulls, nans, lower, upper }: StoredColumnMetrics): boolean {
  if (lower || upper || values === undefined) return false;
  return values === 0 || (nulls !== undefined && nulls + (nans ?? 0) >= values);
}
