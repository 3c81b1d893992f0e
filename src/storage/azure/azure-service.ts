import type { IncomingHttpHeaders } from 'node:http';
import { CodedError } from '../../errors.ts';
import { checkSecretUse } from '../../policy/secret-grants.ts';
import type { Refusal } from '../cloud/cloud-errors.ts';
import type { CloudAccess, CloudService, Place, Properties } from '../cloud/cloud-service.ts';
import { hasKeys } from '../cloud/identity.ts';
import { type HttpRequest, MAX_SOCKETS } from '../http/send-request.ts';
import { Limiter } from '../limiter.ts';
import { LruCache } from '../lru-cache.ts';
import { connectorProxy } from '../proxy/proxy.ts';
import { type AzureCredential, azureCredentials } from './azure-credentials.ts';
import { azureEndpoint, namedEndpoint } from './azure-endpoint.ts';
import { azurePath } from './azure-path.ts';
import { azureRefusal } from './azure-refusal.ts';
import { blobStat, parsePage } from './list-page.ts';
import { sharedKeyAuthorization } from './shared-key.ts';

/** Since version 2021-02-12, names that XML cannot contain are encoded in lists. */
const API_VERSION = '2023-11-03';

/** One limiter per endpoint, so that an endpoint that hangs does not delay the others. */
const limiters = new LruCache<string, Limiter>(1_000);

/**
 * Azure's storage by its Blob service, which also serves the objects of accounts with a hierarchical namespace (Data Lake Storage), and which Azurite
 * has. https://learn.microsoft.com/rest/api/storageservices/blob-service-rest-api
 */
export const AZURE: CloudService = {
  place: azurePath,
  access: async (host, properties, options) => new AzureAccess(host, properties, options) as CloudAccess<object>,
};

class AzureAccess implements CloudAccess<AzureCredential> {
  readonly where: string;
  readonly http;
  readonly limiter: Limiter;
  readonly credentials;
  /** The account's endpoint, without a slash at its end. */
  readonly #endpoint: URL;

  constructor(host: string, properties: Properties, { vended, own }: { vended?: Properties; own?: Properties }) {
    const named = namedEndpoint(properties, host);
    const isVended = vended !== undefined && hasKeys(vended, 'abfss://');
    if (named !== undefined && own !== undefined && !isVended && namedEndpoint(own, host) !== named) {
      throw notForOwn(named, host);
    }
    this.#endpoint = new URL(named ?? azureEndpoint(host));
    this.where = named ?? `the Azure storage account ${host}`;
    const proxy = connectorProxy(properties);
    this.http = { via: 'azure' as const, ...(proxy && { proxy }) };
    this.limiter = limiters.get(this.#endpoint.href) ?? new Limiter(MAX_SOCKETS);
    limiters.set(this.#endpoint.href, this.limiter);
    this.credentials = azureCredentials(properties, host, isVended);
  }

  authorize(request: HttpRequest, credential: AzureCredential): HttpRequest {
    const date = new Date().toUTCString();
    const headers: Record<string, string> = { ...request.headers, 'x-ms-version': API_VERSION, 'x-ms-date': date };
    const sent = { ...request, headers };
    if ('sas' in credential) {
      return { ...sent, path: `${sent.path}${sent.path.includes('?') ? '&' : '?'}${credential.sas}` };
    }
    if ('key' in credential) {
      checkSecretUse(credential.key, this.#endpoint);
      headers.authorization = sharedKeyAuthorization(sent, credential.account, credential.key);
    }
    if ('value' in credential) headers.authorization = `Bearer ${credential.value}`;
    return sent;
  }

  getRequest(place: Place, range?: string): HttpRequest {
    return this.#request('GET', place, range === undefined ? {} : { 'x-ms-range': range });
  }

  checkRead(headers: IncomingHttpHeaders): string | undefined {
    return isFolder(headers) ? 'it is a folder, not an object' : undefined;
  }

  statRequest(place: Place): HttpRequest {
    return this.#request('HEAD', place);
  }

  stat(headers: IncomingHttpHeaders) {
    if (isFolder(headers)) return undefined;
    return blobStat(headers['content-length'], headers['last-modified'], headers.etag);
  }

  listRequest({ bucket }: Place, prefix: string, { token }: { token?: string }): HttpRequest {
    const query = new URLSearchParams({ restype: 'container', comp: 'list', delimiter: '/' });
    if (prefix !== '') query.set('prefix', prefix);
    if (token !== undefined) query.set('marker', token);
    // A plus sign would be a space in a form, but is itself in a query.
    const text = query.toString().replaceAll('+', '%20');
    const { pathname, origin } = this.#endpoint;
    return { method: 'GET', origin, path: `${pathname.replace(/\/$/, '')}/${bucket}?${text}`, headers: {} };
  }

  async listed(body: string, prefix: string) {
    return parsePage(body, prefix);
  }

  refusal(headers: IncomingHttpHeaders, body: string): Refusal {
    return azureRefusal(headers, body, this.where);
  }

  #request(method: 'GET' | 'HEAD', { bucket, key }: Place, headers: Record<string, string> = {}): HttpRequest {
    const { pathname, origin } = this.#endpoint;
    const path = `${pathname.replace(/\/$/, '')}/${bucket}/${key.split('/').map(encoded).join('/')}`;
    return { method, origin, path, headers };
  }
}

/** Hadoop's drivers mark folders this way; accounts with a hierarchical namespace do so for their directories. */
function isFolder(headers: IncomingHttpHeaders): boolean {
  return headers['x-ms-meta-hdi_isfolder'] === 'true' || headers['x-ms-resource-type'] === 'directory';
}

/** Encoded as by Azure's SDKs. The dots of a segment that has nothing else would be resolved by servers. */
function encoded(segment: string): string {
  if (segment === '.' || segment === '..') return segment.replaceAll('.', '%2E');
  return encodeURIComponent(segment).replaceAll("'", '%27');
}

function notForOwn(endpoint: string, host: string): CodedError {
  return new CodedError(
    'FAILED_PRECONDITION',
    `the catalog names the endpoint ${endpoint} for ${host} without credentials for it, and neither the worker's nor the connector's own Azure ` +
      "credentials are used at an endpoint that only a catalog names. Let the catalog vend credentials, or set the connector's property " +
      `adls.connection-string.${host} to that endpoint`,
  );
}
