import { asTyped } from './as-typed.ts';
import { painter, widthOf } from './colour.ts';
import { wrap } from './display-width.ts';
import { printable } from './format.ts';
import { withDefaults } from './json.ts';
import { type Column, TablePrinter } from './table-printer.ts';

/** The generated code of a message. */
interface MessageType<T> {
  toJSON(message: T): unknown;
  /** The fields of the JSON, if they are not the message's own. */
  fields?(message: T): object;
}

/** Where a command prints its result: machine-readable lines, or text for people. */
export interface Output {
  readonly json: boolean;
  /** Prints one message as a line of JSON, or as the result of `text`. */
  message<T extends object>(type: MessageType<T>, message: T, text: (message: T) => string | string[]): Promise<void>;
  /** Prints messages as they arrive, one line of JSON each or as rows of one table. Holds at most one page in memory. */
  list<T extends object>(
    type: MessageType<T>,
    pages: AsyncIterable<T[]>,
    columns: Column<T>[],
    options?: { empty?: string },
  ): Promise<void>;
  /** Prints a hint or a link to stderr; does nothing with `--json`. */
  note(text: string): void;
  /** Prints a warning to stderr, also with `--json`. */
  warn(text: string): void;
}

/** Writes to the streams of this process, and waits for a slow reader. */
export function standardOutput(json: boolean): Output {
  return {
    json,
    async message(type, message, text) {
      await write(json ? jsonLine(type, message) : lines(text(message)));
    },
    async list(type, pages, columns, { empty } = {}) {
      const table = new TablePrinter(columns, process.stdout);
      let any = false;
      for await (const page of pages) {
        any ||= page.length > 0;
        await write(json ? page.map((message) => jsonLine(type, message)).join('') : table.render(page));
      }
      if (!any && !json && empty !== '') process.stderr.write(`${asTyped(empty ?? 'none')}\n`);
      if (table.hidden.length > 0)
        dim(wrap(`left out for lack of room: ${table.hidden.join(', ')}`, widthOf(process.stderr)).join('\n'));
    },
    note(text) {
      if (!json) dim(asTyped(text));
    },
    warn(text) {
      process.stderr.write(`${painter(process.stderr)('warning', 'warning:')} ${asTyped(printable(text))}\n`);
    },
  };
}

function dim(text: string): void {
  const paint = painter(process.stderr);
  process.stderr.write(
    `${text
      .split('\n')
      .map((line) => paint('dim', line))
      .join('\n')}\n`,
  );
}

function jsonLine<T extends object>(type: MessageType<T>, message: T): string {
  return `${JSON.stringify(withDefaults(type.fields?.(message) ?? message, type.toJSON(message)))}\n`;
}
const lines = (text: string | string[]) => `${typeof text === 'string' ? text : text.join('\n')}\n`;

/** Writes to stdout, and waits for a slow reader. */
export function write(text: string): Promise<void> | undefined {
  if (text === '' || process.stdout.write(text)) return undefined;
  return new Promise((resolve) => process.stdout.once('drain', resolve));
}
