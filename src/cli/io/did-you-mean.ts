import { distance } from 'fastest-levenshtein';

const MAX_SUGGESTIONS = 3;

/** The names that the text may stand for, the most similar first: at most a third of their characters differ, or one begins with the other. */
export function similarTo(text: string, names: readonly string[]): string[] {
  const typed = text.toLowerCase();
  return names
    .map((name) => ({ name, far: farness(typed, name.toLowerCase()) }))
    .filter(({ far }) => far < 1)
    .sort((a, b) => a.far - b.far || a.name.localeCompare(b.name))
    .slice(0, MAX_SUGGESTIONS)
    .map(({ name }) => name);
}

function farness(typed: string, name: string): number {
  const length = Math.max(typed.length, name.length);
  // Two characters that change places count as two.
  const allowed = Math.max(length < 4 ? 1 : 2, Math.floor(length / 3));
  const far = distance(typed, name) / (allowed + 1);
  const isBeginning = typed.length >= 3 && name.length >= 3 && (name.startsWith(typed) || typed.startsWith(name));
  return isBeginning ? Math.min(far, 0.99) : far;
}

/** `did you mean main.sales or main.salt?`; undefined for none. */
export function didYouMean(names: readonly string[]): string | undefined {
  const quoted = names.map((name) => `'${name}'`);
  if (quoted.length === 0) return undefined;
  const last = quoted.pop();
  return `did you mean ${quoted.length > 0 ? `${quoted.join(', ')} or ` : ''}${last}?`;
}
