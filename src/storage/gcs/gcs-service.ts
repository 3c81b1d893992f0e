import type { IncomingHttpHeaders } from 'node:http';
import { CodedError } from '../../errors.ts';
import type { Refusal } from '../cloud/cloud-errors.ts';
import type { CloudAccess, CloudService, ListedPage, Place, Properties } from '../cloud/cloud-service.ts';
import { hasKeys } from '../cloud/identity.ts';
import { type HttpRequest, MAX_SOCKETS } from '../http/send-request.ts';
import { Limiter } from '../limiter.ts';
import { LruCache } from '../lru-cache.ts';
import type { ObjectStat } from '../object-store.ts';
import { connectorProxy } from '../proxy/proxy.ts';
import { compareKeys, keyOf } from '../sorted-pages.ts';
import { type GcsCredential, gcsCredentials } from './gcs-credentials.ts';
import { gcsPath } from './gcs-path.ts';
import { gcsRefusal } from './gcs-refusal.ts';

const ENDPOINT = 'https://storage.googleapis.com';
/** The maximum. */
const PAGE_SIZE = '1000';

/** One limiter per endpoint, so that an endpoint that hangs does not delay the others. */
const limiters = new LruCache<string, Limiter>(1_000);

/** Google Cloud Storage by its JSON API. https://cloud.google.com/storage/docs/json_api/v1 */
export const GCS: CloudService = {
  place: gcsPath,
  access: async (_, properties, options) => new GcsAccess(properties, options) as CloudAccess<object>,
};

class GcsAccess implements CloudAccess<GcsCredential> {
  readonly where: string;
  readonly http;
  readonly limiter: Limiter;
  readonly credentials;
  readonly #endpoint: string;
  /** The project that pays, for buckets of which requesters pay. */
  readonly #userProject?: string;

  constructor(properties: Properties, { vended, own }: { vended?: Properties; own?: Properties }) {
    const named = endpointOf(properties);
    const isVended = vended !== undefined && hasKeys(vended, 'gs://');
    if (named !== undefined && own !== undefined && !isVended && endpointOf(own) !== named) throw notForOwn(named);
    this.#endpoint = named ?? ENDPOINT;
    this.where = named ?? 'Google Cloud Storage';
    this.#userProject = properties['gcs.user-project'] || undefined;
    const proxy = connectorProxy(properties);
    this.http = { via: 'google' as const, ...(proxy && { proxy }) };
    this.limiter = limiters.get(this.#endpoint) ?? new Limiter(MAX_SOCKETS);
    limiters.set(this.#endpoint, this.limiter);
    this.credentials = gcsCredentials(properties, isVended);
  }

  authorize(request: HttpRequest, credential: GcsCredential): HttpRequest {
    if (!('value' in credential)) return request;
    return { ...request, headers: { ...request.headers, authorization: `Bearer ${credential.value}` } };
  }

  getRequest({ bucket, key }: Place, range?: string): HttpRequest {
    // Without this encoding, objects that are stored compressed would be decompressed by the service, which ignores ranges then.
    return this.#request(
      `${objectPath(bucket)}/${encodeURIComponent(key)}`,
      { alt: 'media' },
      {
        'accept-encoding': 'gzip',
        ...(range !== undefined && { range }),
      },
    );
  }

  statRequest({ bucket, key }: Place): HttpRequest {
    return this.#request(`${objectPath(bucket)}/${encodeURIComponent(key)}`, { fields: 'size,updated,generation' });
  }

  stat(_: IncomingHttpHeaders, body: string): ObjectStat {
    return statIn(parsed(body));
  }

  listRequest({ bucket }: Place, prefix: string, { after, token }: { after?: string; token?: string }): HttpRequest {
    return this.#request(objectPath(bucket), {
      delimiter: '/',
      maxResults: PAGE_SIZE,
      fields: 'prefixes,items(name,size,updated,generation),nextPageToken',
      ...(prefix !== '' && { prefix }),
      // The offset is included. Behind a folder `a/`, whose objects come after its name, the first possible name is `a0`.
      ...(after !== undefined && { startOffset: prefix + after.replace(/\/$/, '0') }),
      ...(token !== undefined && { pageToken: token }),
    });
  }

  async listed(body: string, prefix: string): Promise<ListedPage> {
    const { prefixes, items, nextPageToken: next } = parsed(body);
    const folders = texts(prefixes).map((name) => ({
      name: name.slice(prefix.length).replace(/\/$/, ''),
      folder: true,
    }));
    const objects = (Array.isArray(items) ? items : []).map((item: Record<string, unknown>) => ({
      name: String(item.name).slice(prefix.length),
      folder: false,
      stat: statIn(item),
    }));
    const all = [...folders, ...objects];
    const entries = all.filter(({ name }) => name !== '');
    // The service returns folders and objects apart.
    entries.sort((a, b) => compareKeys(keyOf(a), keyOf(b)));
    return { entries, exists: all.length > 0, ...(typeof next === 'string' && next !== '' && { next }) };
  }

  refusal(_: IncomingHttpHeaders, body: string): Refusal {
    return gcsRefusal(body, this.where);
  }

  #request(path: string, query: Record<string, string>, headers: Record<string, string> = {}): HttpRequest {
    const { origin, pathname } = new URL(this.#endpoint);
    const parameters = new URLSearchParams(query);
    if (this.#userProject !== undefined) parameters.set('userProject', this.#userProject);
    return { method: 'GET', origin, path: `${pathname.replace(/\/$/, '')}${path}?${parameters}`, headers };
  }
}

function objectPath(bucket: string): string {
  return `/storage/v1/b/${encodeURIComponent(bucket)}/o`;
}

/** The generation identifies the content of an object; its ETag changes with its metadata too. */
function statIn({ size, updated, generation }: Record<string, unknown>): ObjectStat {
  return {
    size: Number(size ?? 0),
    modifiedMs: Date.parse(String(updated)) || 0,
    ...(generation !== undefined && { etag: String(generation) }),
  };
}

function parsed(body: string): Record<string, unknown> {
  try {
    const json = JSON.parse(body);
    if (typeof json === 'object' && json !== null) return json;
  } catch {
    // Reported below.
  }
  throw new CodedError('FAILED_PRECONDITION', 'the storage returned something other than the JSON of its API');
}

function texts(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((text) => typeof text === 'string') : [];
}

function endpointOf(properties: Properties): string | undefined {
  const text = properties['gcs.service.host'];
  if (!text) return undefined;
  const endpoint = /^[a-z]+:\/\//i.test(text) ? text : `https://${text}`;
  if (URL.canParse(endpoint) && /^https?:\/\/[^@?#]+$/i.test(endpoint)) return endpoint.replace(/\/+$/, '');
  throw new CodedError('FAILED_PRECONDITION', `gcs.service.host=${text} is not an http(s) URL`);
}

function notForOwn(endpoint: string): CodedError {
  return new CodedError(
    'FAILED_PRECONDITION',
    `the catalog names the endpoint ${endpoint} of Google Cloud Storage without a token for it, and neither the worker's nor the connector's own ` +
      "Google credentials are used at an endpoint that only a catalog names. Let the catalog vend a token, or set the connector's property " +
      `gcs.service.host=${endpoint}`,
  );
}
