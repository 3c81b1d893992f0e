import { decodeCompactTheta, thetaShare } from './compact-theta.ts';
import { extrapolate } from './extrapolate.ts';
import { ThetaSketch } from './theta-sketch.ts';

/** The sketch of one column of one file. */
export interface FileColumn {
  theta: Uint8Array;
  /** Estimated number of distinct values in the file. */
  estimate: number;
  /** Whether the sketch contains all values of the file. */
  complete: boolean;
}

/** The column over all live files of the snapshot. */
export interface WholeColumn {
  files: number;
  rows: number;
  /** Rows that delete files remove, as far as it is known. */
  deletedRows: number;
}

export interface DistinctValues {
  exact?: number;
  estimate?: number;
  relativeError?: number;
  /** Sketch of the values that were read, in DataSketches' compact form. */
  theta: Uint8Array;
}

/** Hashes kept per column over many files: the error is 2.2 %, the size 16 KiB. */
const UNION_NOMINAL = 2048;

/**
 * Estimates the distinct values of one column over a snapshot's live files. It merges the sketches of the files that have one, and scales
 * the result up to the files without a sketch and to values that were not read (see `extrapolate.ts`).
 *
 * The reported error combines the sketch's standard error, the share of the estimate that is extrapolated, and the share of deleted rows,
 * whose values are still in the files.
 */
export class ColumnUnion {
  readonly #sketch = new ThetaSketch(UNION_NOMINAL);
  #files = 0;
  #rows = 0;
  /** Sums over the files: distinct values according to the sketches, and according to the files' own estimates. */
  #seen = 0;
  #estimated = 0;
  #isComplete = true;

  /** @param rows number of records in the file */
  add({ theta, estimate, complete }: FileColumn, rows: number): void {
    const compact = decodeCompactTheta(theta);
    if (compact === undefined) return;
    this.#files++;
    this.#rows += rows;
    this.#sketch.merge(compact);
    this.#seen += compact.hashes.length / 2 / thetaShare(compact);
    this.#estimated += estimate;
    this.#isComplete &&= complete;
  }

  /** Adds a file in which the column has no values. */
  addEmpty(rows: number): void {
    this.#files++;
    this.#rows += rows;
  }

  /** @returns undefined if no file has a sketch of the column */
  values(whole: WholeColumn): DistinctValues | undefined {
    const sketch = this.#sketch;
    if (this.#files === 0 && whole.files > 0) return undefined;
    const theta = sketch.toCompact();
    const isAll = this.#files >= whole.files;
    if (isAll && this.#isComplete && sketch.isExact && whole.deletedRows === 0) return { exact: sketch.kept, theta };
    const distinct = sketch.estimate;
    const estimate = distinct === 0 ? 0 : this.#scaled(isAll, whole);
    const unread = estimate === 0 ? 0 : Math.max(0, estimate - distinct) / estimate;
    const deleted = whole.rows === 0 ? 0 : Math.min(1, whole.deletedRows / whole.rows);
    const known = isAll && this.#isComplete;
    return { estimate, relativeError: Math.hypot(sketch.relativeError, known ? 0 : unread, deleted), theta };
  }

  #scaled(isAll: boolean, whole: WholeColumn): number {
    const sketch = this.#sketch;
    // A file's own estimate was made from more hashes than its stored sketch has.
    if (isAll && this.#files === 1) return this.#estimated;
    const growth = this.#isComplete ? 1 : Math.max(1, this.#estimated / this.#seen);
    const allFiles = isAll || this.#rows === 0 ? this.#files : (this.#files * whole.rows) / this.#rows;
    // One sketched file of several does not show how many values the files share, from none to all. This is wrong by at most √files.
    if (this.#files === 1) return sketch.estimate * growth * Math.sqrt(allFiles);
    return extrapolate(sketch.seen, this.#files, allFiles * growth);
  }
}
