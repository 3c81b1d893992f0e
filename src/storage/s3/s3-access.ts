import { S3Client, type S3ClientConfig } from '@aws-sdk/client-s3';
import { CodedError } from '../../errors.ts';
import {
  type AwsCredentialProvider,
  areWorkers,
  awsCredentials,
  credentialsKey,
  credentialsName,
} from '../aws/credentials.ts';
import { awsRegion, DEFAULT_REGION } from '../aws/region.ts';
import { awsRequestHandler, type HandlerSettings, MAX_SOCKETS } from '../aws/request-handler.ts';
import { Limiter } from '../limiter.ts';
import { LruCache } from '../lru-cache.ts';
import { connectorProxy } from '../proxy/proxy.ts';

type Properties = Readonly<Record<string, string>>;

/** Attempts per request, unless `AWS_MAX_ATTEMPTS` is set. With the SDK's waits, a throttled request fails after about 10 s. */
const MAX_ATTEMPTS = 5;

/** Access to S3 with one set of properties. */
export interface S3Access {
  /** The bucket's region if it is known, otherwise the configured region. */
  regionOf(bucket: string): string;
  client(region: string): S3Client;
  /** Whether to retry in the region that S3 names for a bucket. */
  followsRedirects: boolean;
  /** Makes every store use this region for the bucket from now on. */
  redirect(bucket: string, region: string): void;
  /** The credentials that sign requests; absent if requests are anonymous. */
  provider?: AwsCredentialProvider;
  /** Sent with every request if requesters pay. */
  requestPayer?: 'requester';
  /** Limits all requests to the same endpoint. Requests wait here instead of for a connection, so that no time limit runs meanwhile. */
  limiter: Limiter;
  /** The endpoint or the region, for error messages. */
  where: string;
  /** The credentials, for error messages. */
  credentials: string;
}

/**
 * Clients by their settings: a thousand tables with the same credentials share one. A client that is dropped need not be closed, because
 * all clients share their connections.
 */
const clients = new LruCache<string, S3Client>(128);

/** One limiter per endpoint, so that an endpoint that hangs does not delay the others. */
const limiters = new LruCache<string, Limiter>(1_000);

/** The regions that S3 named for buckets, by endpoint and bucket. */
const regions = new LruCache<string, string>(10_000);

/**
 * Reads Iceberg's FileIO properties: `s3.endpoint`, `s3.path-style-access` (Python: `s3.force-virtual-addressing`), `s3.region`,
 * `s3.connect-timeout-ms` and `s3.socket-timeout-ms` (Python: `s3.connect-timeout` and `s3.request-timeout` in seconds),
 * `s3.cross-region-access-enabled` (default here: true), `s3.anonymous`, `s3.requester-pays`, and those of `awsCredentials`.
 *
 * @param own see `StoreOptions`
 * @throws CodedError `FAILED_PRECONDITION` for a missing region, an invalid value, or if the worker's own credentials would be used at an endpoint
 *   that a catalog named; `UNIMPLEMENTED` if the catalog requires remote signing
 */
export async function s3Access(properties: Properties, own?: Properties): Promise<S3Access> {
  if (isTrue(properties, 's3.remote-signing-enabled') && !properties['s3.access-key-id']) {
    throw new CodedError(
      'UNIMPLEMENTED',
      'the catalog requires remote signing of S3 requests (s3.remote-signing-enabled), which is not supported: let it vend credentials, or ' +
        'give the connector its own (s3.access-key-id) and set its property s3.remote-signing-enabled=false',
    );
  }
  const endpoint = endpointOf(properties['s3.endpoint']);
  const anonymous = isTrue(properties, 's3.anonymous');
  if (endpoint !== undefined && own !== undefined && !anonymous && areWorkers(properties, 's3')) {
    if (endpoint !== endpointOf(own['s3.endpoint'])) throw notForWorkersKeys(endpoint);
  }
  const handling: HandlerSettings = {
    proxy: connectorProxy(properties),
    connectTimeoutMs: milliseconds(properties, 's3.connect-timeout-ms', 's3.connect-timeout'),
    socketTimeoutMs: milliseconds(properties, 's3.socket-timeout-ms', 's3.request-timeout'),
  };
  // Without an endpoint, the SDK uses these variables.
  const address = endpoint ?? process.env.AWS_ENDPOINT_URL_S3 ?? process.env.AWS_ENDPOINT_URL;
  const settings = { endpoint, forcePathStyle: pathStyle(properties, address), anonymous, ...handling };
  const home = await awsRegion(properties, 's3').catch((error) => {
    if (address === undefined) throw error;
    return DEFAULT_REGION;
  });
  const key = JSON.stringify([settings, anonymous || credentialsKey(properties, 's3')]);
  const credentials = anonymous ? undefined : awsCredentials(properties, 's3');
  const where = address ?? `S3 in ${home}`;
  const limiter = limiters.get(where) ?? new Limiter(MAX_SOCKETS);
  limiters.set(where, limiter);
  const place = (bucket: string): string => `${endpoint ?? ''} ${bucket}`;

  const client = (region: string): S3Client => {
    const clientKey = `${region} ${key}`;
    const known = clients.get(clientKey);
    if (known !== undefined) return known;
    const created = new S3Client({
      region,
      ...(endpoint !== undefined && { endpoint }),
      forcePathStyle: settings.forcePathStyle,
      ...(credentials === undefined ? UNSIGNED : { credentials }),
      requestHandler: awsRequestHandler(handling),
      ...(process.env.AWS_MAX_ATTEMPTS === undefined && { maxAttempts: MAX_ATTEMPTS }),
      // Servers other than Amazon's do not support the checksums that are the SDK's default.
      requestChecksumCalculation: 'WHEN_REQUIRED',
      responseChecksumValidation: 'WHEN_REQUIRED',
      // This module remembers redirects by bucket; the SDK would be redirected again on every request.
      followRegionRedirects: false,
    });
    clients.set(clientKey, created);
    return created;
  };

  return {
    client,
    regionOf: (bucket) => regions.get(place(bucket)) ?? home,
    followsRedirects: properties['s3.cross-region-access-enabled']?.toLowerCase() !== 'false',
    redirect: (bucket, region) => regions.set(place(bucket), region),
    ...(isTrue(properties, 's3.requester-pays') && { requestPayer: 'requester' as const }),
    ...(credentials && { provider: credentials }),
    limiter,
    where,
    credentials: anonymous ? 'a request without credentials (s3.anonymous)' : credentialsName(properties, 's3'),
  };
}

const UNSIGNED: Pick<S3ClientConfig, 'credentials' | 'signer'> = {
  credentials: { accessKeyId: '', secretAccessKey: '' },
  signer: { sign: async (request) => request },
};

function isTrue(properties: Properties, property: string): boolean {
  return properties[property]?.toLowerCase() === 'true';
}

function notForWorkersKeys(endpoint: string): CodedError {
  return new CodedError(
    'FAILED_PRECONDITION',
    `the catalog names the S3 endpoint ${endpoint} without credentials for it, and the worker's own AWS credentials are not used at an endpoint ` +
      'that a catalog names. Let the catalog vend credentials, or give the connector keys of its own (s3.access-key-id and ' +
      `s3.secret-access-key). If the worker's may be used there, set the connector's property s3.endpoint=${endpoint}`,
  );
}

function endpointOf(text: string | undefined): string | undefined {
  if (!text) return undefined;
  // Some users write only host:port.
  const endpoint = /^[a-z]+:\/\//i.test(text) ? text : `https://${text}`;
  if (URL.canParse(endpoint) && /^https?:\/\//i.test(endpoint)) return endpoint.replace(/\/+$/, '');
  throw new CodedError('FAILED_PRECONDITION', `s3.endpoint=${text} is not an http(s) URL`);
}

/**
 * Whether the bucket is in the path instead of the host name. By default this is only so for a server on this machine, because `localhost`
 * has no subdomains for buckets.
 */
function pathStyle(properties: Properties, address: string | undefined): boolean {
  const configured = properties['s3.path-style-access'];
  if (configured) return configured.toLowerCase() === 'true';
  const virtual = properties['s3.force-virtual-addressing'];
  if (virtual) return virtual.toLowerCase() !== 'true';
  return address !== undefined && URL.canParse(address) && new URL(address).hostname === 'localhost';
}

function milliseconds(properties: Properties, inMs: string, inSeconds: string): number | undefined {
  for (const [property, factor] of [
    [inMs, 1],
    [inSeconds, 1_000],
  ] as const) {
    const text = properties[property];
    if (!text) continue;
    const ms = Number(text) * factor;
    if (ms >= 1 && ms <= 3_600_000) return Math.round(ms);
    throw new CodedError('FAILED_PRECONDITION', `${property}=${text} is not between 1 ms and 1 h`);
  }
  return undefined;
}
