import { distance } from 'fastest-levenshtein';

/** More differences than this are another word, not a typing error. */
const MAX_DISTANCE = 2;

/**
 * The name that someone probably meant: one that differs only in case, dashes, underscores or a plural, or by up to two letters. Undefined if
 * there is none.
 */
export function closest(text: string, names: readonly string[]): string | undefined {
  const wanted = plain(text);
  const [best] = names
    .map((name) => ({ name, distance: distance(wanted, plain(name)) }))
    .filter(({ name, distance }) => distance <= Math.min(MAX_DISTANCE, Math.floor(name.length / 3)))
    .sort((a, b) => a.distance - b.distance);
  return best?.name;
}

const plain = (text: string) =>
  text
    .slice(0, 100)
    .toLowerCase()
    .replace(/[-_\s]/g, '')
    .replace(/ies$/, 'y')
    .replace(/s$/, '');
