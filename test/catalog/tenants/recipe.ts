import type { TestTenant } from './tenant.ts';

/**
 * Prepares what a call concerns, and returns its request: a list of messages if it is a stream, and `{ under, request }` if the call carries a
 * claim.
 */
export type Recipe = (tenant: TestTenant) => Promise<object>;

/** Recipes of one service, by the names of RPCs. */
export const recipes = (service: string, byName: Record<string, Recipe | Recipe[]>): [string, Recipe[]][] =>
  Object.entries(byName).map(([name, recipe]) => [service + name, [recipe].flat()]);
