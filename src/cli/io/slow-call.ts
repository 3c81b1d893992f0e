import type { Output } from './output.ts';

/** Most calls are answered sooner. */
const SLOW_AFTER_MS = 4_000;

export const WAITS_FOR_TEMPORAL = 'waiting for the catalog service, which starts the job in Temporal';

/** Explains what a call is probably waiting for if it is not answered at once, so that nobody looks at an empty terminal. */
export async function explainIfSlow<T>(out: Pick<Output, 'note'>, call: Promise<T>, text: string): Promise<T> {
  const timer = setTimeout(() => out.note(text), SLOW_AFTER_MS);
  try {
    return await call;
  } finally {
    clearTimeout(timer);
  }
}
