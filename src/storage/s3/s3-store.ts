import type { Readable } from 'node:stream';
import { setTimeout as wait } from 'node:timers/promises';
import { GetObjectCommand, HeadObjectCommand, ListObjectsV2Command, type S3Client } from '@aws-sdk/client-s3';
import { CodedError } from '../../errors.ts';
import { admit, type CallOptions } from '../aws/request-handler.ts';
import { Limiter } from '../limiter.ts';
import type { FolderEntry, ObjectStat, ObjectStore } from '../object-store.ts';
import type { StoreOptions } from '../store-options.ts';
import type { Usage } from '../usage.ts';
import { directGet, type GetResult } from './direct-get.ts';
import { readBody, TruncatedBodyError } from './read-body.ts';
import { type S3Access, s3Access } from './s3-access.ts';
import { regionNamedIn, s3Error } from './s3-errors.ts';
import { s3Path } from './s3-path.ts';

/** Of one store. */
const REQUESTS_PER_STORE = 32;
/** A body that is cut is asked for again so often, after 100 ms, then 200 ms, … The SDK only retries until a body begins. */
const BODY_ATTEMPTS = 4;
/** For an answer that is no object, with its retries. */
const QUESTION_MS = 120_000;
/** Names in one folder; a thousand come in one answer. */
const MAX_NAMES = 1_000_000;

/**
 * Objects on S3 and on servers that speak its protocol, by `s3://bucket/key`, through the AWS SDK, which also retries what was throttled or
 * did not get through.
 *
 * Besides what `ObjectStore` says: `UNAUTHENTICATED` and `PERMISSION_DENIED` say which credentials were used, `UNAVAILABLE` and
 * `DEADLINE_EXCEEDED` the endpoint, `RESOURCE_EXHAUSTED` is throttling, `FAILED_PRECONDITION` an object that is archived.
 */
export class S3Store implements ObjectStore {
  readonly #options: Pick<StoreOptions, 'properties' | 'vended'>;
  readonly #usage: Usage;
  readonly #limiter = new Limiter(REQUESTS_PER_STORE);
  /** By the properties that were vended; those of the store itself if none were. */
  readonly #accesses = new WeakMap<object, Promise<S3Access>>();

  constructor({ properties, vended, usage }: Pick<StoreOptions, 'properties' | 'vended' | 'usage'>) {
    this.#options = { properties, vended };
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
      const { requestPayer: RequestPayer, signed } = access;
      const get = { Bucket: bucket, Key: key, Range: range, RequestPayer };
      const headers = { ...(range && { range }), ...(RequestPayer && { 'x-amz-request-payer': RequestPayer }) };
      for (let attempt = 1; ; attempt++) {
        let answer: GetResult;
        try {
          const { got, send } = await directGet(client, { bucket, key, headers, signed }, await counted(true));
          answer = got ?? (await client.send(new GetObjectCommand(get), send));
        } catch (error) {
          if (isRangeBehindEnd(error)) return new Uint8Array(0);
          throw error;
        }
        const body = answer.Body as Readable;
        try {
          return await readBody(body, checkedLength(answer, path, range, maxBytes, access.where), this.#usage);
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

  /** A folder is there if there is a key below it, or one of its name with a slash at the end; a bucket always is. */
  async list(folder: string): Promise<FolderEntry[]> {
    return this.#call(folder, 'list', async (client, access, { bucket, key }, counted) => {
      const prefix = key.replace(/\/*$/, '/').replace(/^\/$/, '');
      const entries: FolderEntry[] = [];
      let found = prefix === '';
      let token: string | undefined;
      do {
        const page = await client.send(
          new ListObjectsV2Command({
            Bucket: bucket,
            Prefix: prefix,
            Delimiter: '/',
            // XML cannot carry every character that a key can have.
            EncodingType: 'url',
            ContinuationToken: token,
            RequestPayer: access.requestPayer,
          }),
          await counted(),
        );
        const name = (listed = '') => (page.EncodingType === 'url' ? decodeName(listed) : listed).slice(prefix.length);
        for (const { Prefix } of page.CommonPrefixes ?? []) {
          found = true;
          const below = name(Prefix).replace(/\/$/, '');
          if (below !== '') entries.push({ name: below, folder: true });
        }
        for (const { Key, Size, LastModified, ETag } of page.Contents ?? []) {
          found = true;
          const below = name(Key);
          if (below !== '') entries.push({ name: below, folder: false, stat: statFrom(Size, LastModified, ETag) });
        }
        if (entries.length > MAX_NAMES) {
          throw new CodedError(
            'FAILED_PRECONDITION',
            `${folder} has more than ${MAX_NAMES} names; at most so many are listed`,
          );
        }
        const next = page.IsTruncated ? page.NextContinuationToken : undefined;
        if (next !== undefined && next === token) {
          throw new CodedError(
            'FAILED_PRECONDITION',
            `${access.where} lists the same page of ${folder} again and again`,
          );
        }
        token = next;
      } while (token !== undefined);
      if (!found) throw new CodedError('NOT_FOUND', `cannot list ${folder}: there is no such folder`);
      return entries.sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
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
      throw new CodedError('FAILED_PRECONDITION', `cannot read ${path}: it is a bucket, and an object is wanted`);
    }
    const access = await this.#access(path);
    // Before a place is taken: who waits here holds up no other connector.
    let admitted: ReturnType<typeof admit> | undefined = admit(this.#usage);
    await admitted;
    /** The options of one more command, once it may be sent. */
    const counted = async (streamed = false): Promise<CallOptions> => {
      const first = admitted;
      admitted = undefined;
      const passed = await (first ?? admit(this.#usage));
      const limit = streamed ? {} : { abortSignal: AbortSignal.timeout(QUESTION_MS) };
      return { usage: this.#usage, streamed, ...passed, ...limit };
    };
    return this.#limiter.run(() =>
      access.limiter.run(async () => {
        // Two redirects: from the configured region, and from one that S3 named before the bucket was made anew.
        for (let redirects = 0; ; redirects++) {
          const region = access.regionOf(at.bucket);
          try {
            return await work(access.client(region), access, at, counted);
          } catch (error) {
            const other = regionNamedIn(error);
            if (other === undefined || other === region || !access.followsRedirects || redirects === 2) {
              throw s3Error(error, { ...access, failed: `cannot ${verb} ${path}`, bucket: at.bucket });
            }
            access.redirect(at.bucket, other);
          }
        }
      }),
    );
  }

  async #access(path: string): Promise<S3Access> {
    const { properties, vended } = this.#options;
    const own = await vended?.(path);
    const identity = own ?? properties;
    let access = this.#accesses.get(identity);
    if (access === undefined) {
      access = s3Access(own === undefined ? properties : withVended(properties, own));
      this.#accesses.set(identity, access);
      access.catch(() => this.#accesses.delete(identity));
    }
    return access;
  }
}

/**
 * Vended keys are used as they are: the session and the role of the connector's own credentials are not theirs, and they are to be used
 * where the connector itself would have none. The profile stays: with keys nothing but the region is taken from it.
 */
function withVended(
  properties: Readonly<Record<string, string>>,
  vended: Readonly<Record<string, string>>,
): Record<string, string> {
  if (!vended['s3.access-key-id']) return { ...properties, ...vended };
  const own = Object.entries(properties).filter(([key]) => !OWN_IDENTITY.test(key));
  return { ...Object.fromEntries(own), ...vended };
}

const OWN_IDENTITY =
  /^(s3|client)\.(access-key-id|secret-access-key|session-token|role-arn|anonymous)$|^client\.assume-role\.arn$/;

/** The bytes to come, before any of them is kept. */
function checkedLength(
  { ContentLength, ContentRange }: GetResult,
  path: string,
  range: string | undefined,
  maxBytes: number,
  where: string,
): number {
  if (ContentLength === undefined) {
    throw new CodedError('FAILED_PRECONDITION', `cannot read ${path}: ${where} does not say how long it is`);
  }
  if (range !== undefined && ContentRange === undefined) {
    throw new CodedError(
      'UNIMPLEMENTED',
      `cannot read ${path}: ${where} gives all of it, not the range asked for (${range})`,
    );
  }
  if (ContentLength > maxBytes) {
    throw new CodedError(
      'FAILED_PRECONDITION',
      `${path} has ${ContentLength} bytes to read; at most ${maxBytes} are taken`,
    );
  }
  return ContentLength;
}

function statFrom(size: number | undefined, modified: Date | undefined, etag: string | undefined): ObjectStat {
  return { size: size ?? 0, modifiedMs: modified?.getTime() ?? 0, ...(etag !== undefined && { etag }) };
}

/** As S3 encodes names in listings. */
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
