import type { Readable } from 'node:stream';
import { setTimeout as wait } from 'node:timers/promises';
import { GetObjectCommand, HeadObjectCommand, type S3Client } from '@aws-sdk/client-s3';
import type { HttpResponse } from '@smithy/core/protocols';
import { CodedError } from '../../errors.ts';
import type { AwsCredentials } from '../aws/credentials.ts';
import { BAD_CREDENTIALS, mayBeRefused } from '../aws/errors.ts';
import { admit, type CallOptions } from '../aws/request-handler.ts';
import { type Access, Accesses } from '../cloud/accesses.ts';
import { checkedLength, rangeHeader } from '../http/object-range.ts';
import { readBody, TruncatedBodyError } from '../http/read-body.ts';
import { Limiter } from '../limiter.ts';
import type { FolderEntry, ObjectStat, ObjectStore } from '../object-store.ts';
import { compareKeys, entriesOf, keyOf, sortedPages } from '../sorted-pages.ts';
import type { StoreOptions } from '../store-options.ts';
import type { Usage } from '../usage.ts';
import { listObjects } from './direct-list.ts';
import { directRequest } from './direct-request.ts';
import { type S3Access, s3Access } from './s3-access.ts';
import { regionNamedIn, s3Error } from './s3-errors.ts';
import { s3Path } from './s3-path.ts';

/** Maximum concurrent requests per store. */
const REQUESTS_PER_STORE = 32;
/** Attempts to read a body that is truncated, with waits of 100 ms, 200 ms, … The SDK retries only until a body begins. */
const BODY_ATTEMPTS = 4;
/** Maximum time for a request that is not for an object, including its retries. */
const MAX_REQUEST_MS = 120_000;
/** S3 has no accounts: all of its buckets are read with the same keys. */
const ACCOUNT = '';
/** Directory buckets (S3 Express One Zone) list in no order, and cannot start after a key. */
const DIRECTORY_BUCKET = /--x-s3$/;

/**
 * Objects on S3 and compatible servers, addressed by `s3://bucket/key`. It uses the AWS SDK, which also retries throttled requests and
 * network failures.
 *
 * Errors besides those of `ObjectStore`: `UNAUTHENTICATED` and `PERMISSION_DENIED` name the credentials, `UNAVAILABLE` and
 * `DEADLINE_EXCEEDED` name the endpoint, `RESOURCE_EXHAUSTED` means throttling, `FAILED_PRECONDITION` an archived object.
 */
export class S3Store implements ObjectStore {
  readonly #accesses: Accesses<S3Access>;
  readonly #usage: Usage;
  readonly #limiter = new Limiter(REQUESTS_PER_STORE);

  constructor({ usage, ...options }: Omit<StoreOptions, 'localRoots'>) {
    this.#accesses = new Accesses(options, (_, properties, { own }) => s3Access(properties, own));
    this.#usage = usage;
  }

  async read(
    path: string,
    { maxBytes, start = 0, end }: { maxBytes: number; start?: number; end?: number },
  ): Promise<Uint8Array> {
    if (end !== undefined && end <= start) return new Uint8Array(0);
    const range = rangeHeader(start, end);
    return this.#call(path, 'read', async (client, access, { bucket, key }, counted) => {
      const { requestPayer: RequestPayer, provider } = access;
      const signed = provider !== undefined;
      const get = { Bucket: bucket, Key: key, Range: range, RequestPayer };
      const headers = { ...(range && { range }), ...(RequestPayer && { 'x-amz-request-payer': RequestPayer }) };
      for (let attempt = 1; ; attempt++) {
        let got: { Body?: unknown; ContentLength?: number; ContentRange?: string };
        try {
          const { response, send } = await directRequest(client, { bucket, key, headers, signed }, await counted(true));
          got = response ? objectIn(response) : await client.send(new GetObjectCommand(get), send);
        } catch (error) {
          if (isRangeBehindEnd(error)) return new Uint8Array(0);
          throw error;
        }
        const body = got.Body as Readable;
        const announced = { length: got.ContentLength, isRange: got.ContentRange !== undefined };
        try {
          const length = checkedLength(announced, { path, range, maxBytes, where: access.where });
          return await readBody(body, length, this.#usage);
        } catch (error) {
          body.destroy();
          if (!isTruncatedBody(error) || attempt === BODY_ATTEMPTS) throw error;
        }
        await wait(100 * 2 ** (attempt - 1));
      }
    });
  }

  async stat(path: string): Promise<ObjectStat> {
    return this.#call(path, 'read', async (client, access, { bucket, key }, counted) => {
      const head = new HeadObjectCommand({ Bucket: bucket, Key: key, RequestPayer: access.requestPayer });
      const { ContentLength: size, LastModified: modified, ETag: etag } = await client.send(head, await counted());
      return statFrom(size, modified, etag);
    });
  }

  /** A folder exists if there is a key below it, or a key with its name and a trailing slash; a bucket always exists. */
  async *list(folder: string, { after }: { after?: string } = {}): AsyncGenerator<readonly FolderEntry[]> {
    const isSorted = !DIRECTORY_BUCKET.test(s3Path(folder).bucket);
    yield* isSorted ? this.#pages(folder, after) : sortedPages(() => entriesOf(this.#pages(folder)), after);
  }

  /** The pages of S3, in its order. Requests are admitted page by page, so that a caller can read objects between them. */
  async *#pages(folder: string, after?: string): AsyncGenerator<readonly FolderEntry[]> {
    let found = s3Path(folder).key === '' || after !== undefined;
    let token: string | undefined;
    do {
      const { entries, exists, next } = await this.#listPage(folder, { after, token });
      found ||= exists;
      if (entries.length > 0) yield entries;
      token = next;
    } while (token !== undefined);
    if (!found) throw new CodedError('NOT_FOUND', `cannot list ${folder}: there is no such folder`);
  }

  #listPage(folder: string, { after, token }: { after?: string; token?: string }): Promise<ListedPage> {
    return this.#call(folder, 'list', async (client, access, { bucket, key }, counted) => {
      const prefix = key.replace(/\/*$/, '/').replace(/^\/$/, '');
      const list = {
        Bucket: bucket,
        Prefix: prefix,
        Delimiter: '/',
        // XML cannot contain every character that a key can have.
        EncodingType: 'url',
        ...(token !== undefined
          ? { ContinuationToken: token }
          : { StartAfter: after === undefined ? undefined : `${prefix}${after}` }),
        RequestPayer: access.requestPayer,
      } as const;
      const page = await listObjects(client, list, access.provider !== undefined, await counted());
      const name = (listed = '') => (page.EncodingType === 'url' ? decodeName(listed) : listed).slice(prefix.length);
      const entries = [
        ...(page.CommonPrefixes ?? []).map(({ Prefix }) => ({ name: name(Prefix).replace(/\/$/, ''), folder: true })),
        ...(page.Contents ?? []).map(({ Key, Size, LastModified, ETag }) => ({
          name: name(Key),
          folder: false,
          stat: statFrom(Size, LastModified, ETag),
        })),
      ];
      const next = page.IsTruncated ? page.NextContinuationToken : undefined;
      if (next !== undefined && next === token) {
        throw new CodedError('FAILED_PRECONDITION', `${access.where} returns the same page of ${folder} repeatedly`);
      }
      return {
        // A folder that `after` names is listed once more, because its objects come after it.
        entries: entries
          .filter((entry) => entry.name !== '' && (after === undefined || compareKeys(keyOf(entry), after) > 0))
          .sort((a, b) => compareKeys(keyOf(a), keyOf(b))),
        exists: entries.length > 0,
        next,
      };
    });
  }

  async #call<T>(
    path: string,
    verb: 'read' | 'list',
    work: (
      client: S3Client,
      access: S3Access,
      at: { bucket: string; key: string },
      counted: (streamed?: boolean) => Promise<CallOptions>,
    ) => Promise<T>,
  ): Promise<T> {
    const at = s3Path(path);
    if (at.key === '' && verb === 'read') {
      throw new CodedError('FAILED_PRECONDITION', `cannot read ${path}: it is a bucket; expected an object`);
    }
    let current = await this.#accesses.of(path, ACCOUNT);
    // Waits before taking a slot of the limiter, so that it does not delay other connectors.
    let admitted: ReturnType<typeof admit> | undefined = admit(this.#usage);
    await admitted;
    /** Waits until the next command may be sent, and returns its options. */
    const counted = async (streamed = false): Promise<CallOptions> => {
      const first = admitted;
      admitted = undefined;
      const passed = await (first ?? admit(this.#usage));
      const limit = streamed ? {} : { abortSignal: AbortSignal.timeout(MAX_REQUEST_MS) };
      return { usage: this.#usage, streamed, ...passed, ...limit };
    };
    return this.#limiter.run(async () => {
      for (let isFirst = true; ; isFirst = false) {
        const { access } = current;
        let used: AwsCredentials | undefined;
        try {
          used = await access.provider?.();
          return await access.limiter.run(() =>
            inItsRegion(at.bucket, access, (client) => work(client, access, at, counted)),
          );
        } catch (error) {
          if (!isFirst || !mayBeRefused(error) || !(await this.#renewed(path, current, used, error))) {
            throw s3Error(error, { ...access, failed: `cannot ${verb} ${path}`, bucket: at.bucket });
          }
          current = await this.#accesses.of(path, ACCOUNT);
        }
      }
    });
  }

  /** @returns whether there are other credentials now */
  async #renewed(
    path: string,
    { access, vended }: Access<S3Access>,
    used: AwsCredentials | undefined,
    error: unknown,
  ): Promise<boolean> {
    if (used === undefined) return false;
    const isBadCredential = BAD_CREDENTIALS.test((error as Error).name);
    return this.#accesses.renewed(path, ACCOUNT, vended, {
      isBadCredential,
      renew: () => access.provider?.renew(used),
    });
  }
}

interface ListedPage {
  entries: FolderEntry[];
  /** Whether the page has the folder itself or something in it. */
  exists: boolean;
  /** Token of the next page. */
  next?: string;
}

/** Sends requests to the bucket's region, and follows S3 to another one. */
async function inItsRegion<T>(bucket: string, access: S3Access, work: (client: S3Client) => Promise<T>): Promise<T> {
  // Two redirects: from the configured region, and from a remembered region if the bucket was recreated elsewhere.
  for (let redirects = 0; ; redirects++) {
    const region = access.regionOf(bucket);
    try {
      return await work(access.client(region));
    } catch (error) {
      const other = regionNamedIn(error);
      if (other === undefined || other === region || !access.followsRedirects || redirects === 2) throw error;
      access.redirect(bucket, other);
    }
  }
}

function objectIn({ body: Body, headers }: HttpResponse) {
  const { 'content-length': length, 'content-range': ContentRange } = headers;
  return { Body, ContentRange, ...(length !== undefined && { ContentLength: Number(length) }) };
}

function statFrom(size: number | undefined, modified: Date | undefined, etag: string | undefined): ObjectStat {
  return { size: size ?? 0, modifiedMs: modified?.getTime() ?? 0, ...(etag !== undefined && { etag }) };
}

/** Decodes a name of a listing with `EncodingType=url`. */
function decodeName(name: string): string {
  return decodeURIComponent(name.replaceAll('+', ' '));
}

function isRangeBehindEnd(error: unknown): boolean {
  const { name, $metadata } = error as { name?: string; $metadata?: { httpStatusCode?: number } };
  return name === 'InvalidRange' || $metadata?.httpStatusCode === 416;
}

function isTruncatedBody(error: unknown): boolean {
  if (error instanceof TruncatedBodyError) return true;
  const { code, message } = error as NodeJS.ErrnoException;
  return code === 'ECONNRESET' || code === 'ERR_STREAM_PREMATURE_CLOSE' || message === 'aborted';
}
