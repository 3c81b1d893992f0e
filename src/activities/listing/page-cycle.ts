import type { PageCycle } from '../../contract/activities.ts';

/** The state after `token`; undefined if the upstream has returned this token before. */
export function followPages(before: PageCycle | undefined, token: string): PageCycle | undefined {
  if (!before) return { token, pages: 0, of: 1 };
  if (token === before.token) return undefined;
  const pages = before.pages + 1;
  return pages === before.of ? { token, pages: 0, of: before.of * 2 } : { ...before, pages };
}
