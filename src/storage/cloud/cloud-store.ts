import type { IncomingMessage } from 'node:http';
import { CodedError } from '../../errors.ts';
import { checkedLength, rangeHeader } from '../http/object-range.ts';
import { readBody } from '../http/read-body.ts';
import { StatusError, statusError, textOf } from '../http/responses.ts';
import { withRetries } from '../http/retries.ts';
import { type HttpRequest, sendRequest } from '../http/send-request.ts';
import { Limiter } from '../limiter.ts';
import type { FolderEntry, ObjectStat, ObjectStore } from '../object-store.ts';
import { compareKeys, keyOf } from '../sorted-pages.ts';
import type { StoreOptions } from '../store-options.ts';
import type { Usage } from '../usage.ts';
import { type Access, Accesses } from './accesses.ts';
import { cloudError, type Refusal } from './cloud-errors.ts';
import type { CloudAccess, CloudService, ListedPage, Place } from './cloud-service.ts';

/** Maximum concurrent requests per store. */
const REQUESTS_PER_STORE = 32;
/** A page of Azure has up to 5,000 entries of some kilobytes of XML. */
const MAX_PAGE_BYTES = 64 * 1024 * 1024;

/**
 * Objects of a cloud service that is read over HTTP.
 *
 * Errors besides those of `ObjectStore`: `UNAUTHENTICATED` and `PERMISSION_DENIED` name the credentials, `UNAVAILABLE` and
 * `DEADLINE_EXCEEDED` name the endpoint, `RESOURCE_EXHAUSTED` means throttling, `FAILED_PRECONDITION` a missing setting or an archived object.
 */
export class CloudStore implements ObjectStore {
  readonly #service: CloudService;
  readonly #accesses: Accesses<CloudAccess<object>>;
  readonly #usage: Usage;
  readonly #limiter = new Limiter(REQUESTS_PER_STORE);

  constructor(service: CloudService, { usage, ...options }: Omit<StoreOptions, 'localRoots'>) {
    this.#service = service;
    this.#accesses = new Accesses(options, service.access);
    this.#usage = usage;
  }

  async read(
    path: string,
    { maxBytes, start = 0, end }: { maxBytes: number; start?: number; end?: number },
  ): Promise<Uint8Array> {
    if (end !== undefined && end <= start) return new Uint8Array(0);
    const range = rangeHeader(start, end);
    return this.#call(path, 'read', (access, place) => ({
      request: access.getRequest(place, range),
      result: async (response) => {
        const { headers, statusCode } = response;
        const announced = { length: Number(headers['content-length'] ?? Number.NaN), isRange: statusCode === 206 };
        const length = checkedLength(announced, { path, range, maxBytes, where: access.where });
        const problem = access.checkRead?.(headers);
        if (problem !== undefined) throw new CodedError('FAILED_PRECONDITION', `cannot read ${path}: ${problem}`);
        return readBody(response, length, this.#usage);
      },
      other: ({ status }) => (status === 416 ? new Uint8Array(0) : undefined),
    }));
  }

  async stat(path: string): Promise<ObjectStat> {
    return this.#call(path, 'read', (access, place) => ({
      request: access.statRequest(place),
      result: async (response) => {
        const stat = access.stat(response.headers, await textOf(response, MAX_PAGE_BYTES, this.#usage));
        if (stat !== undefined) return stat;
        throw new CodedError('NOT_FOUND', `cannot read ${path}: it is a folder; expected an object`);
      },
    }));
  }

  /** A folder exists if there is a key below it, or a key with its name and a trailing slash; a bucket always exists. */
  async *list(folder: string, { after }: { after?: string } = {}): AsyncGenerator<readonly FolderEntry[]> {
    let found = after !== undefined;
    let token: string | undefined;
    let held: FolderEntry[] = [];
    do {
      const { entries, exists, next } = await this.#listPage(folder, { after, token });
      found ||= exists;
      if (next !== undefined && next === token) {
        throw new CodedError('FAILED_PRECONDITION', `the storage returns the same page of ${folder} repeatedly`);
      }
      token = next;
      const last = next === undefined ? undefined : entries.at(-1)?.name;
      const sorted = [
        ...held,
        ...entries.filter((entry) => after === undefined || compareKeys(keyOf(entry), after) > 0),
      ];
      sorted.sort((a, b) => compareKeys(keyOf(a), keyOf(b)));
      // A folder behind this name may have to follow entries of the next page.
      const ready = last === undefined ? sorted : sorted.filter((entry) => compareKeys(keyOf(entry), last) <= 0);
      held = sorted.slice(ready.length);
      if (ready.length > 0) yield ready;
    } while (token !== undefined);
    if (held.length > 0) yield held;
    if (!found) throw new CodedError('NOT_FOUND', `cannot list ${folder}: there is no such folder`);
  }

  #listPage(folder: string, options: { after?: string; token?: string }): Promise<ListedPage> {
    return this.#call(folder, 'list', (access, place) => {
      const prefix = place.key.replace(/\/*$/, '/').replace(/^\/$/, '');
      return {
        request: access.listRequest(place, prefix, options),
        result: async (response) => {
          const page = await access.listed(await textOf(response, MAX_PAGE_BYTES, this.#usage), prefix);
          return prefix === '' ? { ...page, exists: true } : page;
        },
      };
    });
  }

  async #call<T>(
    path: string,
    verb: 'read' | 'list',
    plan: (access: CloudAccess<object>, at: Place) => Call<T>,
  ): Promise<T> {
    const at = this.#service.place(path, this.#accesses.properties);
    if (at.key === '' && verb === 'read') {
      throw new CodedError(
        'FAILED_PRECONDITION',
        `cannot read ${path}: it is a bucket or container; expected an object`,
      );
    }
    let current = await this.#accesses.of(path, at.account);
    // Waits before taking a slot of the limiter, so that it does not delay other connectors.
    await this.#usage.gate?.();
    let isAdmitted = true;
    return this.#limiter.run(async () => {
      for (let isFirst = true; ; isFirst = false) {
        const { access } = current;
        let used: object | undefined;
        const attempt = async () => {
          if (!isAdmitted) await this.#usage.gate?.();
          isAdmitted = false;
          used = await access.credentials.current();
          return this.#exchange(access, used, plan(access, at));
        };
        try {
          return await access.limiter.run(() => withRetries(attempt));
        } catch (error) {
          if (!isFirst || !(await this.#renewed(path, at, current, used, error)))
            throw failure(error, access, path, verb);
          current = await this.#accesses.of(path, at.account);
        }
      }
    });
  }

  async #exchange<T>(access: CloudAccess<object>, credential: object, { request, result, other }: Call<T>): Promise<T> {
    this.#usage.requests++;
    const response = await sendRequest(access.authorize(request, credential), access.http);
    if (response.statusCode === 200 || response.statusCode === 206) {
      try {
        return await result(response);
      } catch (error) {
        response.destroy();
        throw error;
      }
    }
    const error = await statusError(response, this.#usage);
    const instead = other?.(error);
    if (instead !== undefined) return instead;
    throw error;
  }

  /** @returns whether there are other credentials now */
  async #renewed(
    path: string,
    at: Place,
    { access, vended }: Access<CloudAccess<object>>,
    used: object | undefined,
    error: unknown,
  ): Promise<boolean> {
    if (used === undefined || !(error instanceof StatusError)) return false;
    const isBadCredential = error.status === 401 || refusalOf(access, error).isBadCredential === true;
    if (!isBadCredential && error.status !== 403) return false;
    const renew = () => access.credentials.renew(used);
    return this.#accesses.renewed(path, at.account, vended, { isBadCredential, renew });
  }
}

/** One request and what its response means. */
interface Call<T> {
  request: HttpRequest;
  result: (response: IncomingMessage) => Promise<T>;
  /** The result of a response with another status than 200 or 206. Undefined if it is an error. */
  other?: (error: StatusError) => T | undefined;
}

function refusalOf(access: CloudAccess<object>, { headers, body }: StatusError): Refusal {
  return access.refusal(headers, body);
}

function failure(error: unknown, access: CloudAccess<object>, path: string, verb: string): CodedError {
  return cloudError(error, {
    failed: `cannot ${verb} ${path}`,
    where: access.where,
    credentials: access.credentials.name,
    refusal: (status) => refusalOf(access, status),
  });
}
