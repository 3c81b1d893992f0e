/**
 * Notices that page tokens go round, in constant memory and in a cursor that lives in a history: Brent's algorithm (R. P. Brent,
 * An improved Monte Carlo factorization algorithm, 1980). One token is remembered, and replaced after twice as many pages each
 * time; a cycle brings the remembered one back at the latest three times its length after it was entered.
 */
export interface PageCycle {
  /** A token that was given before. */
  token: string;
  /** Pages since then, of as many as pass before another one is remembered. */
  pages: number;
  of: number;
}

/** The state after `token` was given; undefined where it was given before. */
export function followPages(before: PageCycle | undefined, token: string): PageCycle | undefined {
  if (!before) return { token, pages: 0, of: 1 };
  if (token === before.token) return undefined;
  const pages = before.pages + 1;
  return pages === before.of ? { token, pages: 0, of: before.of * 2 } : { ...before, pages };
}
