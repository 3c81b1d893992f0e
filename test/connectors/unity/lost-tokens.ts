import { respondWithJson } from '../rest/fake-server.ts';
import type { UnityServer } from './unity-server.ts';

/** Replaces the next token of pages of main.s that end with this name. */
export function loseToken(server: UnityServer, lastName: string | RegExp, token: string | null): void {
  server.intercept = ({ path }, response) => {
    const query = new URL(path, 'http://u').searchParams;
    if (!path.includes('/tables?')) return false;
    const all = server
      .schema('main', 's')
      .map(({ name }) => name)
      .sort();
    const size = Number(query.get('max_results'));
    const after = query.get('page_token');
    if (after !== null && !all.includes(after)) return false;
    const page = all.filter((name) => after === null || name > after).slice(0, size);
    const last = page.at(-1) ?? '';
    if (page.length < size || !(typeof lastName === 'string' ? last === lastName : lastName.test(last))) return false;
    const tables = server.schema('main', 's').filter(({ name }) => page.includes(name));
    respondWithJson(response, { tables, next_page_token: token });
    return true;
  };
}
