import type { NamespacePath } from '../../contract/upstream-names.ts';
import { CodedError } from '../../errors.ts';
import { JsonFields } from '../../formats/json/json-fields.ts';
import { MalformedError } from '../../formats/malformed.ts';
import { LruCache } from '../../storage/lru-cache.ts';
import type { Page, PageRequest } from '../spi.ts';
import type { HttpClient } from './http-client.ts';
import { parseLargeResponse } from './parse-response.ts';
import { encodeStrictly } from './resource-paths.ts';

/** For one page. With names of 200 characters, an entry has about 300 bytes. */
const MAX_BYTES = 64 * 1024 * 1024;
/** How long an unpaged listing is kept to serve further pages from. */
const LISTING_TTL_MS = 30_000;
const MAX_CACHED_LISTINGS = 4;
/** Limits for collecting all pages of a listing. */
const MAX_PAGES = 10_000;
const MAX_ITEMS = 1_000_000;

type Url = (query: string) => string;
type Read = (item: unknown) => NamespacePath | undefined;

interface ListResponse {
  items: NamespacePath[];
  next?: string;
}

/**
 * Pages of namespaces, tables or views.
 *
 * Some catalogs do not page and return everything, whatever page size was requested. Such a response is sorted and split into pages by name,
 * so that entries that appear or disappear between pages neither repeat nor hide others.
 */
export class Listing {
  readonly #client: HttpClient;
  /** By URL, because a connector is shared and several listings are read at the same time. */
  readonly #listings = new LruCache<string, { until: number; items: readonly NamespacePath[] }>(MAX_CACHED_LISTINGS);

  constructor(client: HttpClient) {
    this.#client = client;
  }

  /**
   * Reads one page.
   *
   * @param url returns the URL of a page for its query string
   * @param field the response's field that contains the items
   * @param read returns the full path of an item; undefined for an item to leave out
   * @throws CodedError `INVALID_ARGUMENT` for a wrong page size, `FAILED_PRECONDITION` for a malformed or endless listing
   */
  async page(url: Url, field: string, read: Read, page: PageRequest): Promise<Page<NamespacePath>> {
    if (!Number.isInteger(page.size) || page.size < 1) {
      throw new CodedError('INVALID_ARGUMENT', `page size ${page.size} is not valid: it must be at least 1`);
    }
    const { token, after } = parseToken(page.token);
    if (after !== undefined) {
      const items = this.#cached(url('')) ?? this.#cache(url(''), await this.#all(url, field, read, page.size));
      return slice(items, after, page.size);
    }
    const { items, next } = await this.#request(url, field, read, token, page.size);
    if (next !== undefined) return { items, nextToken: `p${next}` };
    if (token !== '' || items.length <= page.size) return { items };
    return slice(this.#cache(url(''), items), '', page.size);
  }

  /** All pages of a listing. A catalog that returned everything before may have started to page. */
  async #all(url: Url, field: string, read: Read, size: number): Promise<NamespacePath[]> {
    const all: NamespacePath[] = [];
    let token: string | undefined = '';
    for (let pages = 0; token !== undefined; pages += 1) {
      if (pages === MAX_PAGES || all.length > MAX_ITEMS) {
        throw new CodedError(
          'FAILED_PRECONDITION',
          `GET ${url('')} lists more than the limit of ${MAX_PAGES} pages or ${MAX_ITEMS} names`,
        );
      }
      const { items, next }: ListResponse = await this.#request(url, field, read, token, size);
      for (const item of items) all.push(item);
      token = next;
    }
    return all;
  }

  async #request(url: Url, field: string, read: Read, token: string, size: number): Promise<ListResponse> {
    // An empty token requests the first page. Without a token, some catalogs would not page.
    const address = url(`pageToken=${encodeStrictly(token)}&pageSize=${size}`);
    const { json, memory } = await this.#client.json({ url: address, maxBytes: MAX_BYTES });
    using _ = memory;
    const response = await parseLargeResponse(`GET ${address}`, 'a listing', 'FAILED_PRECONDITION', function* () {
      const fields = new JsonFields(json);
      // Without its list, an answer proves nothing: tables that seem gone would be marked missing.
      if (!fields.hasList(field)) throw new MalformedError(`it has no list '${field}'`);
      const items = yield* fields.eachValue(field, read);
      return {
        items: items.filter((item) => item !== undefined),
        // Some catalogs return an empty token instead of none.
        next: fields.optionalString('next-page-token') || undefined,
      };
    });
    if (response.next === undefined || response.next !== token) return response;
    throw new CodedError(
      'FAILED_PRECONDITION',
      `GET ${address} returned the requested page token as the next one, so the listing would never end`,
    );
  }

  #cached(address: string): readonly NamespacePath[] | undefined {
    const listing = this.#listings.get(address);
    return listing !== undefined && listing.until > Date.now() ? listing.items : undefined;
  }

  #cache(address: string, unsorted: readonly NamespacePath[]): readonly NamespacePath[] {
    const items = sorted(unsorted);
    this.#listings.set(address, { until: Date.now() + LISTING_TTL_MS, items });
    return items;
  }
}

/** A token is `p` and the catalog's own token, or `n` and the name after which to continue. */
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
