import { distance } from 'fastest-levenshtein';
import { ClientError, Status } from 'nice-grpc';
import { HintedError } from '../io/errors.ts';

/** Names that are searched for a similar one: one page of a list. */
export const SEARCHED = 1000;
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

/**
 * Adds what may have been meant to the error of a call that found nothing by this name.
 *
 * @param candidates what exists, as it is typed; if that cannot be read, the error is what it was
 */
export async function suggesting<T>(
  call: Promise<T>,
  text: string,
  candidates: () => Promise<{ names: string[]; list: string }>,
): Promise<T> {
  try {
    return await call;
  } catch (error) {
    if (!(error instanceof ClientError) || error.code !== Status.NOT_FOUND) throw error;
    const found = await candidates().catch(() => undefined);
    if (!found) throw error;
    const question = didYouMean(similarTo(text, found.names));
    const hint = [question, `\`reconciler ${found.list}\` shows what exists`].filter(Boolean).join(' ');
    throw new HintedError(error.details, hint);
  }
}
