import { asTyped } from './as-typed.ts';
import { painter, type Screen, type Tone, widthOf } from './colour.ts';
import { displayWidth, shorten, wrap } from './display-width.ts';
import { printable } from './format.ts';
import { type Fitting, GAP, type Layout, layoutOf } from './table-layout.ts';

export interface Column<T> extends Fitting {
  title: string;
  value(row: T): string;
  /** For numbers. */
  align?: 'right';
  tone?(row: T): Tone | undefined;
}

const INDENT = '    ';
/** A number or a time, which a shortened column never cuts: a part of it would be another number. */
const NUMBER = /^[~-]?\d[\d.,:TZe+-]*$/;

/**
 * Prints rows page by page, as they fit the terminal; in a pipe, everything. The first page determines the widths. If a later page has
 * longer cells, its columns become wider; if other columns fit then, the titles are printed again.
 */
export class TablePrinter<T> {
  readonly #columns: Column<T>[];
  readonly #limit: number;
  readonly #paint: ReturnType<typeof painter>;
  /** Widths of the longest cells so far. */
  readonly #natural: number[];
  /** Widths of the longest numbers so far. */
  readonly #uncut: number[];
  #layout: Layout | undefined;
  readonly #hidden = new Set<number>();

  constructor(columns: Column<T>[], screen: Screen) {
    this.#columns = columns;
    this.#natural = columns.map(({ title }) => displayWidth(title));
    this.#uncut = columns.map(() => 0);
    this.#limit = widthOf(screen);
    this.#paint = painter(screen);
  }

  /** Titles of the columns that did not fit. */
  get hidden(): string[] {
    return this.#columns.filter((_, n) => this.#hidden.has(n)).map(({ title }) => title);
  }

  /** Renders these rows; the first call adds the titles. */
  render(rows: T[]): string {
    if (rows.length === 0) return '';
    const cells = rows.map((row) =>
      this.#columns.map((column) => {
        const text = printable(column.value(row));
        // Sentences may contain commands.
        return column.below ? asTyped(text) : text;
      }),
    );
    const before = this.#layout;
    const layout = this.#fit(cells);
    const head = before && String(before.inRow) === String(layout.inRow) ? [] : [this.#head(layout)];
    const lines = cells.flatMap((row, n) => this.#lines(row, rows[n]!, layout));
    return [...head, ...lines].map((line) => `${line}\n`).join('');
  }

  /** Starts with the widths of the earlier pages. */
  #fit(cells: string[][]): Layout {
    this.#columns.forEach((_, n) => {
      for (const row of cells) {
        const cell = row[n]!;
        const width = displayWidth(cell);
        if (width > this.#natural[n]!) this.#natural[n] = width;
        if (width > this.#uncut[n]! && NUMBER.test(cell)) this.#uncut[n] = width;
      }
    });
    const fitting = this.#columns.map(({ min, ...column }, n) => ({
      ...column,
      min: min === undefined ? undefined : Math.max(min, this.#uncut[n]!),
    }));
    this.#layout = layoutOf(fitting, this.#natural, this.#limit);
    for (const n of this.#layout.hidden) this.#hidden.add(n);
    return this.#layout;
  }

  #head(layout: Layout): string {
    return this.#row(
      this.#columns.map(({ title }) => title),
      layout,
      () => 'title',
    );
  }

  #lines(cells: string[], row: T, layout: Layout): string[] {
    const tone = (n: number) => this.#columns[n]!.tone?.(row);
    const below = layout.below
      .filter((n) => cells[n] !== '')
      .flatMap((n) => wrap(cells[n]!, this.#limit - INDENT.length).map((line) => INDENT + this.#paint(tone(n), line)));
    return [this.#row(cells, layout, tone), ...below];
  }

  #row(cells: string[], { inRow, widths }: Layout, tone: (column: number) => Tone | undefined): string {
    return inRow
      .map((n) => {
        const text = shorten(cells[n]!, widths[n]!);
        const padding = ' '.repeat(widths[n]! - displayWidth(text));
        const painted = this.#paint(tone(n), text);
        return this.#columns[n]!.align === 'right' ? padding + painted : painted + padding;
      })
      .join(' '.repeat(GAP))
      .trimEnd();
  }
}
