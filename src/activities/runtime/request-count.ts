import type { Usage } from '../../storage/usage.ts';

const reported = new WeakMap<Readonly<Usage>, number>();

/**
 * Requests made upstream since the last call for the same upstream. Activities share an opened upstream, so that one of them may report the
 * requests of another; together they report each request once.
 */
export function requestsMade(usage: Readonly<Usage>): number {
  const made = usage.requests - (reported.get(usage) ?? 0);
  reported.set(usage, usage.requests);
  return made;
}
