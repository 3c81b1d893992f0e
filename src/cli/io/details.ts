import { asTyped } from './as-typed.ts';
import { painter, type Tone, widthOf } from './colour.ts';
import { displayWidth, wrap } from './display-width.ts';
import { printable } from './format.ts';

/** Labels and values in two columns, without those that are not set; a long value continues below its beginning on a terminal. */
export function details(
  pairs: [label: string, value: string | undefined, tone?: Tone][],
  screen = process.stdout,
): string[] {
  const filled = pairs.filter((pair): pair is [string, string, Tone?] => pair[1] !== undefined && pair[1] !== '');
  const width = Math.max(...filled.map(([label]) => displayWidth(label)));
  const paint = painter(screen);
  return filled.flatMap(([label, value, tone]) =>
    wrap(asTyped(printable(value)), widthOf(screen) - width - GAP.length).map(
      (line, n) => (n === 0 ? label : '').padEnd(width) + GAP + paint(tone, line),
    ),
  );
}

const GAP = '  ';
