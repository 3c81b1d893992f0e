import pico from 'picocolors';

/** The stream that text is written to: a terminal has a width, a pipe has none. */
export interface Screen {
  isTTY?: boolean;
  columns?: number;
}

/** What a colour states. */
export type Tone = 'good' | 'bad' | 'warning' | 'dim' | 'title';

const off = pico.createColors(false);
const on = pico.createColors(true);

/**
 * Colours for a stream: none in a pipe or on a dumb terminal; FORCE_COLOR turns them on everywhere, and NO_COLOR, which has
 * precedence, off (https://no-color.org, https://force-color.org).
 */
export function painter(screen: Screen): (tone: Tone | undefined, text: string) => string {
  const { red, green, yellow, dim, bold } = hasColours(screen) ? on : off;
  const paints = { good: green, bad: red, warning: yellow, dim, title: bold };
  return (tone, text) => (tone === undefined || text === '' ? text : paints[tone](text));
}

function hasColours({ isTTY }: Screen): boolean {
  const { NO_COLOR, FORCE_COLOR, TERM } = process.env;
  if (NO_COLOR) return false;
  if (FORCE_COLOR !== undefined) return !['', '0', 'false'].includes(FORCE_COLOR);
  return isTTY === true && TERM !== 'dumb';
}

/** Columns of a terminal; infinite for a pipe. */
export function widthOf({ isTTY, columns }: Screen): number {
  return isTTY && columns ? columns : Number.POSITIVE_INFINITY;
}
