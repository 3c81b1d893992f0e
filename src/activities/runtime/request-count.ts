import type { Usage } from '../../storage/usage.ts';

const told = new WeakMap<Readonly<Usage>, number>();

/**
 * Requests made upstream since the last time that this was asked. Activities share what is open, so one of them may tell what
 * another has asked for; together they tell all of it once.
 */
export function requestsMade(usage: Readonly<Usage>): number {
  const made = usage.requests - (told.get(usage) ?? 0);
  told.set(usage, usage.requests);
  return made;
}
