/** How a column may be fitted to a narrow terminal. Without any of these, it is always shown as it is. */
export interface Fitting {
  /** May be shortened in the middle, to no less than this width. Never for numbers. */
  min?: number;
  /** The columns of least weight are left out first. Without a weight, the column is never left out. */
  weight?: number;
  /** For sentences: moves below its row, where it is wrapped between words, if the whole table is too wide. */
  below?: boolean;
}

/** The columns of a table as they fit a terminal. */
export interface Layout {
  /** Indexes of the columns that are shown in rows. */
  inRow: number[];
  /** Indexes of the columns that are shown below their row. */
  below: number[];
  /** Indexes of the columns that are left out. */
  hidden: number[];
  /** Width of each column, by index. */
  widths: number[];
}

/** Spaces between columns. */
export const GAP = 2;

/** @param natural width of each column that shows all of its cells */
export function layoutOf(columns: readonly Fitting[], natural: readonly number[], limit: number): Layout {
  const all = columns.map((_, n) => n);
  if (total(natural) <= limit) return { inRow: all, below: [], hidden: [], widths: [...natural] };
  const below = all.filter((n) => columns[n]!.below);
  const least = columns.map(({ min }, n) => Math.min(min ?? Number.POSITIVE_INFINITY, natural[n]!));
  const chosen = new Set(all.filter((n) => !columns[n]!.below && columns[n]!.weight === undefined));
  const byWeight = all
    .filter((n) => !columns[n]!.below && columns[n]!.weight !== undefined)
    .sort((a, b) => columns[b]!.weight! - columns[a]!.weight!);
  for (const n of byWeight) {
    if (total([...chosen, n].map((index) => least[index]!)) <= limit) chosen.add(n);
  }
  const inRow = all.filter((n) => chosen.has(n));
  const hidden = byWeight.filter((n) => !chosen.has(n)).sort((a, b) => a - b);
  return { inRow, below, hidden, widths: narrowed(inRow, natural, least, limit) };
}

/** Narrows the widest of the columns that may be shortened until the row fits. */
function narrowed(inRow: number[], natural: readonly number[], least: readonly number[], limit: number): number[] {
  const widths = [...natural];
  let excess = total(inRow.map((n) => widths[n]!)) - limit;
  for (; excess > 0; excess--) {
    const narrowable = inRow.filter((n) => widths[n]! > least[n]!);
    if (narrowable.length === 0) break;
    const widest = narrowable.reduce((best, n) => (widths[n]! > widths[best]! ? n : best));
    widths[widest]!--;
  }
  return widths;
}

const total = (widths: readonly number[]) => widths.reduce((sum, width) => sum + width + GAP, -GAP);
