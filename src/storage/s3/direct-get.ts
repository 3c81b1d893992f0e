import { GetObjectCommand, type GetObjectCommandOutput, type S3Client } from '@aws-sdk/client-s3';
import { getEndpointFromInstructions } from '@smithy/core/endpoints';
import { HttpRequest } from '@smithy/core/protocols';
import { SignatureV4 } from '@smithy/signature-v4';
import type { awsRequestHandler, CallOptions } from '../aws/request-handler.ts';
import { LruCache } from '../lru-cache.ts';

/** Of a GetObject, as far as reading needs it. */
export type GetResult = Pick<GetObjectCommandOutput, 'ContentLength' | 'ContentRange'> & { Body?: unknown };

export interface DirectGet {
  bucket: string;
  key: string;
  /** Names in lower case. */
  headers: Readonly<Record<string, string>>;
  /** Without it the request is anonymous. */
  signed: boolean;
}

/** Where the requests for objects of a bucket go. */
interface RequestPath {
  protocol: string;
  hostname: string;
  port?: number;
  host: string;
  /** Of the path, without a slash at the end. */
  base: string;
  signer: SignatureV4;
}

type Handler = ReturnType<typeof awsRequestHandler>;

/** SHA-256 of nothing. */
const NO_BODY = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';

const requestPaths = new WeakMap<S3Client, LruCache<string, Promise<RequestPath | undefined>>>();

/**
 * One GetObject by the client's own endpoint rules, credentials, signature and connections, without the command's two dozen middlewares:
 * for the small files that metadata is, they take more than all the rest of reading (docs/decisions/storage-access.md).
 *
 * @returns the object, or else what the command itself is to be sent with: it knows what is worth another attempt and what the error is
 * @throws what the credentials' provider throws
 */
export async function directGet(
  client: S3Client,
  get: DirectGet,
  counted: CallOptions,
): Promise<{ got: GetResult; send?: undefined } | { got?: undefined; send: CallOptions }> {
  const unsigned = await requestFor(client, get).catch(() => undefined);
  if (unsigned === undefined) return { send: counted };
  const { way, request } = unsigned;
  if (get.signed) await sign(request, way, client);
  // Successes fill up what the SDK may spend on retries: it has to hear of them.
  const retries = await client.config.retryStrategy();
  const token = 'acquireInitialRetryToken' in retries ? await retries.acquireInitialRetryToken('') : undefined;
  const outcome = client.config.requestHandler.handle(request, counted) as ReturnType<Handler['handle']>;
  const response = await outcome.then((answer) => answer.response).catch(() => undefined);
  if (response?.statusCode !== 200 && response?.statusCode !== 206)
    return { send: { ...counted, earlier: { outcome } } };
  if (token !== undefined && 'recordSuccess' in retries) retries.recordSuccess(token);
  const { 'content-length': length, 'content-range': ContentRange } = response.headers;
  return { got: { Body: response.body, ContentRange, ...(length !== undefined && { ContentLength: Number(length) }) } };
}

/** Undefined where the bucket is signed for otherwise. */
async function requestFor(client: S3Client, { bucket, key, headers }: DirectGet) {
  const way = await requestPathFor(client, bucket);
  if (way === undefined) return undefined;
  const { protocol, hostname, port, host, base } = way;
  const path = `${base}/${key.split('/').map(encoded).join('/')}`;
  const own = { host, 'user-agent': 'reconciler' };
  return { way, request: new HttpRequest({ protocol, hostname, port, path, headers: { ...own, ...headers } }) };
}

async function sign(request: HttpRequest, { signer }: RequestPath, { config }: S3Client): Promise<void> {
  request.headers['x-amz-content-sha256'] = NO_BODY;
  const signingDate = new Date(Date.now() + config.systemClockOffset);
  request.headers = (await signer.sign(request, { signingDate })).headers;
}

function requestPathFor(client: S3Client, bucket: string): Promise<RequestPath | undefined> {
  const known = requestPaths.get(client) ?? new LruCache<string, Promise<RequestPath | undefined>>(1_000);
  requestPaths.set(client, known);
  let way = known.get(bucket);
  if (way === undefined) {
    way = resolveRequestPath(client, bucket);
    known.set(bucket, way);
    way.catch(() => known.delete(bucket));
  }
  return way;
}

/** Undefined for buckets that are signed for otherwise, as those of S3 Express are. */
async function resolveRequestPath({ config }: S3Client, bucket: string): Promise<RequestPath | undefined> {
  const { url, properties } = await getEndpointFromInstructions({ Bucket: bucket }, GetObjectCommand, { ...config });
  const scheme = (properties?.authSchemes as { name: string; signingName: string; signingRegion: string }[])?.[0];
  if (scheme?.name !== 'sigv4') return undefined;
  return {
    protocol: url.protocol,
    hostname: url.hostname,
    ...(url.port !== '' && { port: Number(url.port) }),
    host: url.host,
    base: url.pathname.replace(/\/$/, ''),
    signer: new SignatureV4({
      credentials: config.credentials,
      service: scheme.signingName,
      region: scheme.signingRegion,
      sha256: config.sha256,
      // Keys are signed as they stand in the path.
      uriEscapePath: false,
    }),
  };
}

/** As AWS wants it (RFC 3986): `encodeURIComponent` leaves some more. */
function encoded(segment: string): string {
  return encodeURIComponent(segment).replace(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`);
}
