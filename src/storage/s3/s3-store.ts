import type { Readable } from 'node:stream';
import { setTimeout as wait } from 'node:timers/promises';
import { GetObjectCommand, HeadObjectCommand, ListObjectsV2Command, type S3Client } from '@aws-sdk/client-s3';
import { CodedError } from '../../errors.ts';
import type { AwsCredentials } from '../aws/credentials.ts';
import { BAD_CREDENTIALS, mayBeRefused } from '../aws/errors.ts';
import { admit, type CallOptions } from '../aws/request-handler.ts';
import { hasKeys, overlaid } from '../cloud/identity.ts';
import { readBody, TruncatedBodyError } from '../http/read-body.ts';
import { Limiter } from '../limiter.ts';
import type { FolderEntry, ObjectStat, ObjectStore } from '../object-store.ts';
import { compareKeys, entriesOf, keyOf, sortedPages } from '../sorted-pages.ts';
import type { StoreOptions } from '../store-options.ts';
import { TooLargeError } from '../too-large-error.ts';
import type { Usage } from '../usage.ts';
import { directGet, type GetResult } from './direct-get.ts';
import { type S3Access, s3Access } from './s3-access.ts';
import { regionNamedIn, s3Error } from './s3-errors.ts';
import { s3Path } from './s3-path.ts';

type Properties = StoreOptions['properties'];

/** Maximum concurrent requests per store. */
const REQUESTS_PER_STORE = 32;
/** Attempts to read a body that is truncated, with waits of 100 ms, 200 ms, … The SDK retries only until a body begins. */
const BODY_ATTEMPTS = 4;
/** Maximum time for a request that is not for an object, including its retries. */
const MAX_REQUEST_MS = 120_000;
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
  readonly #options: Pick<StoreOptions, 'reread' | 'vended' | 'own'>;
  /** With the secrets as they were last read. */
  #properties: Properties;
  readonly #usage: Usage;
  readonly #limiter = new Limiter(REQUESTS_PER_STORE);
  /** By the vended properties, or the store's own properties if none are vended. */
  #accesses = new WeakMap<object, Promise<S3Access>>();

  constructor({ properties, usage, ...options }: Omit<StoreOptions, 'localRoots'>) {
    this.#options = options;
    this.#properties = properties;
    this.#usage = usage;
  }

  async read(
    path: string,
    { maxBytes, start = 0, end }: { maxBytes: number; start?: number; end?: number },
  ): Promise<Uint8Array> {
    if (end !== undefined && end <= start) return new Uint8Array(0);
    const ranged = start > 0 || end !== undefined;
    const range = ranged ? `bytes=${start}-${end === undefined ? '' : end - 1}` : undefined;
    return this.#call(path, 'read', async (client, access, { bucket, key }, counted) => {
      const { requestPayer: RequestPayer, provider } = access;
      const signed = provider !== undefined;
      const get = { Bucket: bucket, Key: key, Range: range, RequestPayer };
      const headers = { ...(range && { range }), ...(RequestPayer && { 'x-amz-request-payer': RequestPayer }) };
      for (let attempt = 1; ; attempt++) {
        let response: GetResult;
        try {
          const { got, send } = await directGet(client, { bucket, key, headers, signed }, await counted(true));
          response = got ?? (await client.send(new GetObjectCommand(get), send));
        } catch (error) {
          if (isRangeBehindEnd(error)) return new Uint8Array(0);
          throw error;
        }
        const body = response.Body as Readable;
        try {
          return await readBody(body, checkedLength(response, path, range, maxBytes, access.where), this.#usage);
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
      const page = await client.send(
        new ListObjectsV2Command({
          Bucket: bucket,
          Prefix: prefix,
          Delimiter: '/',
          // XML cannot contain every character that a key can have.
          EncodingType: 'url',
          ...(token !== undefined
            ? { ContinuationToken: token }
            : { StartAfter: after === undefined ? undefined : `${prefix}${after}` }),
          RequestPayer: access.requestPayer,
        }),
        await counted(),
      );
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
    let current = await this.#access(path);
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
          current = await this.#access(path);
        }
      }
    });
  }

  async #access(path: string, refused?: Properties): Promise<Access> {
    const vended = await this.#options.vended?.(path, refused);
    const identity = vended ?? this.#properties;
    let access = this.#accesses.get(identity);
    if (access === undefined) {
      const properties = vended === undefined ? this.#properties : overlaid(this.#properties, vended);
      access = s3Access(properties, this.#options.own);
      this.#accesses.set(identity, access);
      access.catch(() => this.#accesses.delete(identity));
    }
    return { access: await access, vended };
  }

  /**
   * Looks for other credentials after a refusal: new ones from the catalog if they are vended, otherwise the worker's and the connector's own,
   * read again at their source.
   *
   * @returns whether there are others now
   */
  async #renewed(
    path: string,
    { access, vended }: Access,
    used: AwsCredentials | undefined,
    error: unknown,
  ): Promise<boolean> {
    if (used === undefined) return false;
    if (vended !== undefined && hasKeys(vended, path)) {
      if (!BAD_CREDENTIALS.test((error as Error).name)) return false;
      const next = await this.#access(path, vended).catch(() => undefined);
      return next !== undefined && next.vended !== vended;
    }
    if (await access.provider?.renew(used)) return true;
    const before = this.#properties;
    const properties = await this.#options.reread?.(before);
    if (properties === undefined || properties === before) return false;
    this.#properties = properties;
    this.#accesses = new WeakMap();
    return true;
  }
}

interface ListedPage {
  entries: FolderEntry[];
  /** Whether the page has the folder itself or something in it. */
  exists: boolean;
  /** Token of the next page. */
  next?: string;
}

/** How a path is accessed, and the properties that were vended for it. */
interface Access {
  access: S3Access;
  vended?: Properties;
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

/** Checks the announced length before memory is allocated. */
function checkedLength(
  { ContentLength, ContentRange }: GetResult,
  path: string,
  range: string | undefined,
  maxBytes: number,
  where: string,
): number {
  if (ContentLength === undefined) {
    throw new CodedError('FAILED_PRECONDITION', `cannot read ${path}: ${where} sent no Content-Length`);
  }
  if (range !== undefined && ContentRange === undefined) {
    throw new CodedError(
      'UNIMPLEMENTED',
      `cannot read ${path}: ${where} ignored the requested range (${range}) and returned the whole object`,
    );
  }
  if (ContentLength > maxBytes) {
    throw new TooLargeError(`${path} has ${ContentLength} bytes to read; the limit is ${maxBytes}`, ContentLength);
  }
  return ContentLength;
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
