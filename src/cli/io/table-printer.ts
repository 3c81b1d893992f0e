import Table from 'cli-table3';
import { printable, shorten } from './format.ts';

export interface Column<T> {
  title: string;
  value(row: T): string;
  /** For numbers. */
  align?: 'right';
  /** May be shortened in the middle if the terminal is narrow. */
  flexible?: boolean;
}

/** The stream that the table is written to: a terminal has a width, a pipe has none. */
export interface Screen {
  isTTY?: boolean;
  columns?: number;
}

const BARE = {
  top: '',
  'top-mid': '',
  'top-left': '',
  'top-right': '',
  bottom: '',
  'bottom-mid': '',
  'bottom-left': '',
  'bottom-right': '',
  left: '',
  'left-mid': '',
  mid: '',
  'mid-mid': '',
  right: '',
  'right-mid': '',
  middle: '  ',
};
const GAP = 2;
/** A shortened column keeps at least this width. */
const MIN_WIDTH = 12;

/**
 * Prints rows page by page. The first page determines the widths; a longer cell on a later page shifts only its own line.
 */
export class TablePrinter<T> {
  readonly #columns: Column<T>[];
  readonly #limit: number;
  #widths: number[] | undefined;

  constructor(columns: Column<T>[], screen: Screen) {
    this.#columns = columns;
    this.#limit = screen.isTTY && screen.columns ? screen.columns : Number.POSITIVE_INFINITY;
  }

  /** Renders these rows; the first call adds the titles. */
  render(rows: T[]): string {
    if (rows.length === 0) return '';
    const cells = rows.map((row) => this.#columns.map((column) => printable(column.value(row))));
    const head = this.#widths === undefined ? [this.#columns.map(({ title }) => title)] : [];
    this.#widths ??= this.#fit(widthsOf([...head, ...cells]));
    const widths = this.#widths;
    const lines = [...head, ...cells].map((row) => row.map((cell, n) => this.#shorten(cell, n, widths[n] ?? 0)));
    return draw(
      lines,
      widthsOf(lines).map((width, n) => Math.max(width, widths[n] ?? 0)),
      this.#columns,
    );
  }

  #shorten(cell: string, column: number, width: number): string {
    return this.#columns[column]?.flexible && this.#limit < Number.POSITIVE_INFINITY ? shorten(cell, width) : cell;
  }

  /** Narrows the widest flexible columns until the line fits, or until they have their minimum width. */
  #fit(widths: number[]): number[] {
    const fitted = [...widths];
    const total = () => fitted.reduce((sum, width) => sum + width + GAP, -GAP);
    while (total() > this.#limit) {
      const widest = fitted.reduce((best, width, n) => {
        if (!this.#columns[n]?.flexible || width <= MIN_WIDTH) return best;
        return best < 0 || width > (fitted[best] ?? 0) ? n : best;
      }, -1);
      if (widest < 0) break;
      fitted[widest] = (fitted[widest] ?? 0) - 1;
    }
    return fitted;
  }
}

/** Display widths as cli-table3 computes them: wide characters count as two. */
function widthsOf(rows: string[][]): number[] {
  const table = new Table({ chars: BARE, style: PLAIN });
  table.push(...rows);
  table.toString();
  return table.options.colWidths as number[];
}

const PLAIN = { head: [], border: [], compact: true, 'padding-left': 0, 'padding-right': 0 };

function draw<T>(rows: string[][], colWidths: number[], columns: Column<T>[]): string {
  const colAligns = columns.map(({ align }) => align ?? 'left');
  const table = new Table({ chars: BARE, style: PLAIN, colWidths, colAligns });
  table.push(...rows);
  return `${table
    .toString()
    .split('\n')
    .map((row) => row.trimEnd())
    .join('\n')}\n`;
}
