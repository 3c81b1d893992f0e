import stringWidth from 'string-width';

const PLAIN = /^[ -~]*$/;
const graphemes = new Intl.Segmenter(undefined, { granularity: 'grapheme' });

/** Columns of a terminal that the text takes: two for wide characters such as CJK and emoji, none for combining marks. */
export function displayWidth(text: string): number {
  return PLAIN.test(text) ? text.length : stringWidth(text);
}

/** Removes characters from the middle, so that a path keeps its start and its file name. No character is cut in two. */
export function shorten(text: string, width: number): string {
  if (displayWidth(text) <= width) return text;
  if (width <= 1) return '…'.slice(0, Math.max(0, width));
  const characters = PLAIN.test(text) ? [...text] : Array.from(graphemes.segment(text), ({ segment }) => segment);
  const headWidth = Math.floor((width - 1) / 3);
  const head = asManyAs(characters, headWidth);
  const tail = asManyAs(characters.reverse(), width - 1 - headWidth).reverse();
  return `${head.join('')}…${tail.join('')}`;
}

function asManyAs(characters: string[], width: number): string[] {
  let left = width;
  let count = 0;
  for (const character of characters) {
    left -= displayWidth(character);
    if (left < 0) break;
    count++;
  }
  return characters.slice(0, count);
}

/** As many words from the beginning as fit, for sentences: `scanning and…`. A first word that is too long is cut. */
export function firstWords(text: string, width: number): string {
  if (displayWidth(text) <= width) return text;
  const words = text.split(' ');
  while (words.length > 1 && displayWidth(words.join(' ')) >= width) words.pop();
  return `${asManyAs([...words.join(' ')], width - 1).join('')}…`;
}

/**
 * Breaks text into lines of at most this width: between words, or after punctuation within a word that alone is longer, such as a
 * path. A part without punctuation that is longer still loses its middle.
 */
export function wrap(text: string, width: number): string[] {
  if (displayWidth(text) <= width) return [text];
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ').filter((part) => part !== '')) {
    if (line !== '' && displayWidth(line) + 1 + displayWidth(word) <= width) {
      line += ` ${word}`;
      continue;
    }
    if (line !== '') lines.push(line);
    line = '';
    for (const part of partsOf(word, width)) {
      if (line !== '' && displayWidth(line) + displayWidth(part) > width) {
        lines.push(line);
        line = '';
      }
      line += shorten(part, width);
    }
  }
  return line === '' ? lines : [...lines, line];
}

/** The word, or, if it is longer than a line, its parts that end with punctuation. A number with separators stays whole. */
function partsOf(word: string, width: number): string[] {
  return displayWidth(word) <= width ? [word] : word.split(/(?<=[/?&=;:_-]|[.,](?!\d))/);
}
