import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** Tables whose activities end together cause one collection. */
const DELAY_MS = 200;

let pending: NodeJS.Timeout | undefined;
let collect: (() => void) | undefined;

/**
 * Collects garbage shortly. V8 waits until the heap is a multiple of what it last kept: after a table with large metadata, a worker would hold
 * hundreds of megabytes of garbage while it ingests others.
 */
export function collectGarbageSoon(): void {
  if (pending) return;
  pending = setTimeout(() => {
    pending = undefined;
    collectGarbage();
  }, DELAY_MS).unref();
}

/** Collects garbage, which stops everything for a tenth of a second or more. */
export function collectGarbage(): void {
  collect ??= exposedCollector();
  collect();
}

/** The function `gc`, which a new context gets once the flag is set. */
function exposedCollector(): () => void {
  setFlagsFromString('--expose-gc');
  return runInNewContext('gc') as () => void;
}
