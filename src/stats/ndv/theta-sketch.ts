import { type CompactTheta, encodeCompactTheta } from './compact-theta.ts';
import type { Seen } from './extrapolate.ts';
import { MAX_HIGH, MAX_LOW } from './theta.ts';

/**
 * A theta sketch (Dasgupta, Lang, Rhodes, Thaler: "A Framework for Estimating Stream Expression Cardinalities", 2016). It keeps the hashes
 * below theta, and lowers theta so that it keeps between `nominal` and twice as many. Hashes are uniform, so `kept / theta` (with theta as
 * a share of the range of hashes) estimates the number of distinct hashes, with a relative standard error of about 1/√nominal. While theta
 * is 1, the number is exact.
 *
 * The sketch also counts how often each kept hash was added. The kept hashes are a fair sample, so the numbers of those that were added
 * once and twice show how many values were not seen (see `extrapolate.ts`).
 */
export class ThetaSketch {
  readonly #nominal: number;
  /** A hash table with open addressing and linear probing. A slot is empty if its `#times` is 0. */
  #high = new Uint32Array(32);
  #low = new Uint32Array(32);
  #times = new Uint32Array(32);
  #kept = 0;
  #thetaHigh = MAX_HIGH;
  #thetaLow = MAX_LOW;

  constructor(nominal: number) {
    this.#nominal = nominal;
  }

  /** Number of hashes that are kept. */
  get kept(): number {
    return this.#kept;
  }

  /** Theta as a share of the range of hashes; 1 means that every hash was kept. */
  get theta(): number {
    return this.isExact ? 1 : (this.#thetaHigh * 2 ** 32 + this.#thetaLow) / 2 ** 63;
  }

  get isExact(): boolean {
    return this.#thetaHigh === MAX_HIGH && this.#thetaLow === MAX_LOW;
  }

  /** Estimated number of distinct hashes that were added. */
  get estimate(): number {
    return this.#kept / this.theta;
  }

  /** Estimated numbers of distinct hashes that were added: in all, exactly once, and exactly twice. */
  get seen(): Seen {
    let once = 0;
    let twice = 0;
    for (const times of this.#times) {
      if (times === 1) once++;
      else if (times === 2) twice++;
    }
    return { distinct: this.estimate, once: once / this.theta, twice: twice / this.theta };
  }

  /** Relative standard error of `estimate`. */
  get relativeError(): number {
    return relativeError(this.#kept, this.theta);
  }

  /** Adds a 63-bit hash in the form of `thetaHash`. */
  add(high: number, low: number): void {
    if (high > this.#thetaHigh || (high === this.#thetaHigh && low >= this.#thetaLow)) return;
    if (high === 0 && low === 0) return;
    const place = this.#slot(high, low);
    if (this.#times[place] === 0) {
      this.#high[place] = high;
      this.#low[place] = low;
      this.#kept++;
    }
    (this.#times[place] as number)++;
    if (this.#kept >= this.#nominal * 2) this.#lowerTheta();
    else if (this.#kept * 2 > this.#high.length) this.#rehash(this.#high.length * 2, MAX_HIGH, MAX_LOW);
  }

  /** Adds another sketch, so that this one becomes the union. Each of the other sketch's hashes is added once. */
  merge({ thetaHigh, thetaLow, hashes, isOrdered }: CompactTheta): void {
    if (thetaHigh < this.#thetaHigh || (thetaHigh === this.#thetaHigh && thetaLow < this.#thetaLow)) {
      this.#thetaHigh = thetaHigh;
      this.#thetaLow = thetaLow;
      this.#rehash(this.#high.length, thetaHigh, thetaLow);
    }
    for (let at = 0; at < hashes.length; at += 2) {
      const low = hashes[at] as number;
      const high = hashes[at + 1] as number;
      // The hashes that follow are even larger.
      if (isOrdered && (high > this.#thetaHigh || (high === this.#thetaHigh && low >= this.#thetaLow))) return;
      this.add(high, low);
    }
  }

  /** The sketch in DataSketches' compact form, with at most `maxHashes` hashes. */
  toCompact(maxHashes = this.#nominal): Uint8Array {
    const { sorted, thetaHigh, thetaLow } = this.#smallest(maxHashes);
    return encodeCompactTheta({ thetaHigh, thetaLow, hashes: sorted, isOrdered: true });
  }

  #slot(high: number, low: number): number {
    const mask = this.#high.length - 1;
    // The low bits, because the high bits are zero once theta is small.
    let place = low & mask;
    while (this.#times[place] !== 0 && (this.#low[place] !== low || this.#high[place] !== high)) {
      place = (place + 1) & mask;
    }
    return place;
  }

  #lowerTheta(): void {
    const { thetaHigh, thetaLow } = this.#smallest(this.#nominal);
    this.#thetaHigh = thetaHigh;
    this.#thetaLow = thetaLow;
    this.#rehash(this.#high.length, thetaHigh, thetaLow);
  }

  /** The smallest hashes in order (low half, then high half of each), and the theta that excludes the others. */
  #smallest(maxHashes: number): { sorted: Uint32Array; thetaHigh: number; thetaLow: number } {
    const all = new Uint32Array(this.#kept * 2);
    let at = 0;
    for (let place = 0; place < this.#times.length; place++) {
      if (this.#times[place] === 0) continue;
      all[at++] = this.#low[place] as number;
      all[at++] = this.#high[place] as number;
    }
    // Sorted as 64-bit numbers, natively; every machine that Node runs on is little-endian.
    new BigUint64Array(all.buffer).sort();
    if (this.#kept <= maxHashes) return { sorted: all, thetaHigh: this.#thetaHigh, thetaLow: this.#thetaLow };
    return {
      sorted: all.slice(0, maxHashes * 2),
      thetaHigh: all[maxHashes * 2 + 1] as number,
      thetaLow: all[maxHashes * 2] as number,
    };
  }

  /** Moves the hashes below the bound into a table of another size. */
  #rehash(size: number, boundHigh: number, boundLow: number): void {
    const [high, low, times] = [this.#high, this.#low, this.#times];
    this.#high = new Uint32Array(size);
    this.#low = new Uint32Array(size);
    this.#times = new Uint32Array(size);
    this.#kept = 0;
    for (let from = 0; from < times.length; from++) {
      if (times[from] === 0) continue;
      const [h, l] = [high[from] as number, low[from] as number];
      if (h > boundHigh || (h === boundHigh && l >= boundLow)) continue;
      const to = this.#slot(h, l);
      this.#high[to] = h;
      this.#low[to] = l;
      this.#times[to] = times[from] as number;
      this.#kept++;
    }
  }
}

/** Relative standard error of an estimate from `kept` hashes. */
export function relativeError(kept: number, theta: number): number {
  if (theta >= 1) return 0;
  return kept < 2 ? 1 : Math.sqrt((1 - theta) / (kept - 1));
}
