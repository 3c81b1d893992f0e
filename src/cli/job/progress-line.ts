import { painter, type Screen, type Tone, widthOf } from '../io/colour.ts';
import { displayWidth, firstWords } from '../io/display-width.ts';

/** A part of the line. Parts of less weight give way to those of more. */
export interface LinePart {
  weight: number;
  text: string;
  /** The same in fewer columns. */
  short?: string;
  tone?: Tone;
  /** A sentence, which loses words at its end. Takes the room that is left, at least that of its short form. */
  elastic?: boolean;
}

const GAP = '  ';

/**
 * The parts, in their order, as far as they fit the terminal: first the short forms of as many as possible, by weight; then, by weight, the
 * long forms.
 */
export function progressLine(parts: readonly LinePart[], screen: Screen): string {
  // The cursor needs the last column.
  const width = widthOf(screen) - 1;
  const chosen = new Map<LinePart, string>();
  const room = () => {
    const texts = [...chosen.values()];
    return width - texts.reduce((sum, text) => sum + displayWidth(text) + GAP.length, 0);
  };
  const byWeight = parts.filter(({ text }) => text !== '').sort((a, b) => b.weight - a.weight);
  for (const part of byWeight) {
    const short = part.short ?? part.text;
    if (displayWidth(short) <= room()) chosen.set(part, short);
  }
  for (const part of byWeight.filter((each) => chosen.has(each))) {
    chosen.delete(part);
    const left = room();
    if (part.elastic) chosen.set(part, firstWords(part.text, left));
    else chosen.set(part, displayWidth(part.text) <= left ? part.text : (part.short ?? part.text));
  }
  const paint = painter(screen);
  return parts
    .filter((part) => chosen.has(part))
    .map((part) => paint(part.tone, chosen.get(part)!))
    .join(GAP);
}
