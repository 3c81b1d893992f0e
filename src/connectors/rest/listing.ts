import type { NamespacePath } from '../../contract/upstream-names.ts';
import { CodedError } from '../../errors.ts';
import { JsonFields } from '../../formats/json/json-fields.ts';
import { MalformedError } from '../../formats/malformed.ts';
import { RecentlyUsed } from '../../storage/recently-used.ts';
import type { Page, PageRequest } from '../spi.ts';
import type { HttpClient } from './http-client.ts';
import { parsedAnswer } from './malformed-answer.ts';
import { encodeStrictly } from './resource-paths.ts';

/** Of one page. Names of 200 characters come to some 300 bytes an entry. */
const MAX_BYTES = 64 * 1024 * 1024;
/** How long a listing that came in one piece is kept, to give its pages from. */
const LISTING_TTL_MS = 30_000;
const MAX_CACHED_LISTINGS = 4;
/** Where all pages are put together. */
const MAX_PAGES = 10_000;
const MAX_ITEMS = 1_000_000;

type Url = (query: string) => string;
type Read = (item: unknown) => NamespacePath | undefined;

interface Answer {
  items: NamespacePath[];
  next?: string;
}

/**
 * Pages of namespaces, tables or views.
 *
 * Some catalogs do not page and answer with everything, however much was asked for. Such an answer is given out in pages by name here,
 * sorted, so that what comes and goes in between neither repeats nor hides anything else.
 */
export class Listing {
  readonly #client: HttpClient;
  /** By the URL: a connector is shared, and several of its listings are gone through at once. */
  readonly #whole = new RecentlyUsed<string, { until: number; items: readonly NamespacePath[] }>(MAX_CACHED_LISTINGS);

  constructor(client: HttpClient) {
    this.#client = client;
  }

  /**
   * @param url of a page, for the query that asks for it
   * @param field that holds the items
   * @param read the full path of an item; undefined for one that does not belong there
   */
  async page(url: Url, field: string, read: Read, page: PageRequest): Promise<Page<NamespacePath>> {
    if (!Number.isInteger(page.size) || page.size < 1) {
      throw new CodedError('INVALID_ARGUMENT', `a page of ${page.size} entries: at least 1 is wanted`);
    }
    const { token, after } = parseToken(page.token);
    if (after !== undefined) {
      const items = this.#kept(url('')) ?? this.#keep(url(''), await this.#all(url, field, read, page.size));
      return slice(items, after, page.size);
    }
    const { items, next } = await this.#ask(url, field, read, token, page.size);
    if (next !== undefined) return { items, nextToken: `p${next}` };
    if (token !== '' || items.length <= page.size) return { items };
    return slice(this.#keep(url(''), items), '', page.size);
  }

  /** All pages: a catalog that once answered with everything may page meanwhile. */
  async #all(url: Url, field: string, read: Read, size: number): Promise<NamespacePath[]> {
    const all: NamespacePath[] = [];
    let token: string | undefined = '';
    for (let pages = 0; token !== undefined; pages += 1) {
      if (pages === MAX_PAGES || all.length > MAX_ITEMS) {
        throw new CodedError(
          'FAILED_PRECONDITION',
          `GET ${url('')} has more than ${MAX_PAGES} pages or ${MAX_ITEMS} names; at most so many are listed`,
        );
      }
      const { items, next }: Answer = await this.#ask(url, field, read, token, size);
      for (const item of items) all.push(item);
      token = next;
    }
    return all;
  }

  async #ask(url: Url, field: string, read: Read, token: string, size: number): Promise<Answer> {
    // An empty token asks for the first page: without one some catalogs would not page.
    const address = url(`pageToken=${encodeStrictly(token)}&pageSize=${size}`);
    const { json } = await this.#client.json({ url: address, maxBytes: MAX_BYTES });
    const answer = parsedAnswer(address, 'a listing', 'FAILED_PRECONDITION', () => {
      const fields = new JsonFields(json);
      const items = fields.raw[field] ?? [];
      if (!Array.isArray(items)) throw new MalformedError(`${field} is no list`);
      return {
        items: items.map(read).filter((item) => item !== undefined),
        // An empty one stands for none in some catalogs.
        next: fields.optionalString('next-page-token') || undefined,
      };
    });
    if (answer.next === undefined || answer.next !== token) return answer;
    throw new CodedError(
      'FAILED_PRECONDITION',
      `GET ${address} was answered with the page token that was asked for as the next one: the listing would have no end`,
    );
  }

  #kept(address: string): readonly NamespacePath[] | undefined {
    const whole = this.#whole.get(address);
    return whole !== undefined && whole.until > Date.now() ? whole.items : undefined;
  }

  #keep(address: string, unsorted: readonly NamespacePath[]): readonly NamespacePath[] {
    const items = sorted(unsorted);
    this.#whole.set(address, { until: Date.now() + LISTING_TTL_MS, items });
    return items;
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
