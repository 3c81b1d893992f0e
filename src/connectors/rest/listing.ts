import { CodedError } from '../../errors.ts';
import { JsonFields } from '../iceberg/json-fields.ts';
import { MalformedError } from '../iceberg/malformed.ts';
import type { NamespacePath, Page, PageRequest } from '../spi.ts';
import type { HttpClient } from './http-client.ts';
import { parsedAnswer } from './malformed-answer.ts';
import { encodeStrictly } from './resource-paths.ts';

/** Of one page. Names of 200 characters come to some 300 bytes an entry. */
const MAX_BYTES = 64 * 1024 * 1024;
/** How long a listing that came in one piece is kept, to give its pages from. */
const KEPT_MS = 30_000;

/**
 * Pages of namespaces, tables or views.
 *
 * Some catalogs do not page and answer with everything, however much was asked for. Such an answer is given out in pages by name here,
 * sorted, so that what comes and goes in between neither repeats nor hides anything else.
 */
export class Listing {
  readonly #client: HttpClient;
  #whole?: { url: string; until: number; items: readonly NamespacePath[] };

  constructor(client: HttpClient) {
    this.#client = client;
  }

  /**
   * @param url of a page, for the query that asks for it
   * @param field that holds the items
   * @param read the full path of an item; undefined for one that does not belong there
   */
  async page(
    url: (query: string) => string,
    field: string,
    read: (item: unknown) => NamespacePath | undefined,
    page: PageRequest,
  ): Promise<Page<NamespacePath>> {
    if (!Number.isInteger(page.size) || page.size < 1) {
      throw new CodedError('INVALID_ARGUMENT', `a page of ${page.size} entries: at least 1 is wanted`);
    }
    const { token, after } = parseToken(page.token);
    // An empty token asks for the first page: without one some catalogs would not page.
    const address = url(`pageToken=${encodeStrictly(token)}&pageSize=${page.size}`);
    const whole = this.#whole;
    if (after !== undefined && whole?.url === url('') && whole.until > Date.now())
      return slice(whole.items, after, page.size);

    const { json } = await this.#client.json({ url: address, maxBytes: MAX_BYTES });
    const answer = parsedAnswer(address, 'a listing', 'FAILED_PRECONDITION', () => {
      const fields = new JsonFields(json);
      const items = fields.raw[field] ?? [];
      if (!Array.isArray(items)) throw new MalformedError(`${field} is no list`);
      // An empty one stands for none in some catalogs.
      return {
        items: items.map(read).filter((item) => item !== undefined),
        next: fields.optionalString('next-page-token') || undefined,
      };
    });
    if (answer.next !== undefined && after === undefined) {
      if (answer.next === token) {
        throw new CodedError(
          'FAILED_PRECONDITION',
          `GET ${address} was answered with the page token that was asked for as the next one: the listing would have no end`,
        );
      }
      return { items: answer.items, nextToken: `p${answer.next}` };
    }
    if (after === undefined && answer.items.length <= page.size) return { items: answer.items };
    if (token !== '') return { items: answer.items };
    const items = sorted(answer.items);
    this.#whole = { url: url(''), until: Date.now() + KEPT_MS, items };
    return slice(items, after ?? '', page.size);
  }
}

/** `p` and the catalog's own token, or `n` and the name after which to go on. */
function parseToken(token: string | undefined): { token: string; after?: string } {
  if (token === undefined) return { token: '' };
  return token.startsWith('n') ? { token: '', after: token.slice(1) } : { token: token.slice(1) };
}

function slice(items: readonly NamespacePath[], after: string, size: number): Page<NamespacePath> {
  const from = items.findIndex((item) => nameOf(item) > after);
  if (from < 0) return { items: [] };
  const page = items.slice(from, from + size);
  const more = from + size < items.length;
  return { items: page, ...(more && { nextToken: `n${nameOf(page.at(-1) as NamespacePath)}` }) };
}

function sorted(items: readonly NamespacePath[]): NamespacePath[] {
  return [...items].sort((a, b) => (nameOf(a) < nameOf(b) ? -1 : nameOf(a) > nameOf(b) ? 1 : 0));
}

function nameOf(path: NamespacePath): string {
  return path.at(-1) ?? '';
}
