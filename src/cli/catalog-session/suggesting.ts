import { ClientError, Status } from 'nice-grpc';
import { didYouMean, similarTo } from '../io/did-you-mean.ts';
import { HintedError } from '../io/errors.ts';

/** Names that are searched for a similar one: one page of a list. */
export const SEARCHED = 1000;

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
