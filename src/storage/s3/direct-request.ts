import { GetObjectCommand, type S3Client } from '@aws-sdk/client-s3';
import { getEndpointFromInstructions } from '@smithy/core/endpoints';
import { HttpRequest, type HttpResponse } from '@smithy/core/protocols';
import { SignatureV4 } from '@smithy/signature-v4';
import type { awsRequestHandler, CallOptions } from '../aws/request-handler.ts';
import { LruCache } from '../lru-cache.ts';

export interface DirectRequest {
  bucket: string;
  /** Empty for a request about the bucket. */
  key: string;
  query?: Record<string, string>;
  /** Names in lower case. */
  headers: Readonly<Record<string, string>>;
  /** If false, the request is anonymous. */
  signed: boolean;
}

/** Where requests for a bucket are sent, and how they are signed. */
interface RequestPath {
  protocol: string;
  hostname: string;
  port?: number;
  host: string;
  /** Start of the path, without a trailing slash. */
  base: string;
  signer: SignatureV4;
}

type Handler = ReturnType<typeof awsRequestHandler>;

/** SHA-256 of an empty body. */
const NO_BODY = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';

const requestPaths = new WeakMap<S3Client, LruCache<string, Promise<RequestPath | undefined>>>();

/**
 * Sends one GET with the client's endpoint rules, credentials, signature and connections, but without the two dozen middlewares of a command. For small
 * metadata files and listings these cost more than everything else (docs/decisions/storage-access.md).
 *
 * @returns the response on success; otherwise the options with which to send the SDK's command, which handles retries and errors
 * @throws the errors of the credentials provider
 */
export async function directRequest(
  client: S3Client,
  direct: DirectRequest,
  counted: CallOptions,
): Promise<{ response: HttpResponse; send?: undefined } | { response?: undefined; send: CallOptions }> {
  const unsigned = await requestFor(client, direct).catch(() => undefined);
  if (unsigned === undefined) return { send: counted };
  const { requestPath, request } = unsigned;
  if (direct.signed) await sign(request, requestPath, client);
  // Successes refill the SDK's retry quota, so they are reported to it.
  const retries = await client.config.retryStrategy();
  const token = 'acquireInitialRetryToken' in retries ? await retries.acquireInitialRetryToken('') : undefined;
  const outcome = client.config.requestHandler.handle(request, counted) as ReturnType<Handler['handle']>;
  const response = await outcome.then((result) => result.response).catch(() => undefined);
  if (response?.statusCode !== 200 && response?.statusCode !== 206)
    return { send: { ...counted, earlier: { outcome } } };
  if (token !== undefined && 'recordSuccess' in retries) retries.recordSuccess(token);
  return { response };
}

/** Undefined if the bucket requires another kind of signature. */
async function requestFor(client: S3Client, { bucket, key, query, headers }: DirectRequest) {
  const requestPath = await requestPathFor(client, bucket);
  if (requestPath === undefined) return undefined;
  const { protocol, hostname, port, host, base } = requestPath;
  const path = `${base}/${key.split('/').map(encoded).join('/')}`;
  const defaultHeaders = { host, 'user-agent': 'reconciler' };
  return {
    requestPath,
    request: new HttpRequest({ protocol, hostname, port, path, query, headers: { ...defaultHeaders, ...headers } }),
  };
}

async function sign(request: HttpRequest, { signer }: RequestPath, { config }: S3Client): Promise<void> {
  request.headers['x-amz-content-sha256'] = NO_BODY;
  const signingDate = new Date(Date.now() + config.systemClockOffset);
  request.headers = (await signer.sign(request, { signingDate })).headers;
}

function requestPathFor(client: S3Client, bucket: string): Promise<RequestPath | undefined> {
  const known = requestPaths.get(client) ?? new LruCache<string, Promise<RequestPath | undefined>>(1_000);
  requestPaths.set(client, known);
  let requestPath = known.get(bucket);
  if (requestPath === undefined) {
    requestPath = resolveRequestPath(client, bucket);
    known.set(bucket, requestPath);
    requestPath.catch(() => known.delete(bucket));
  }
  return requestPath;
}

/** Undefined for buckets that require another kind of signature, such as those of S3 Express. */
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
      // S3 signs the path without escaping it a second time.
      uriEscapePath: false,
    }),
  };
}

/** Percent-encodes as AWS requires (RFC 3986). `encodeURIComponent` leaves a few more characters unencoded. */
function encoded(segment: string): string {
  return encodeURIComponent(segment).replace(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`);
}
