import { createHash } from 'node:crypto';
import { currentPolicy } from '../../policy/current-policy.ts';
import { policyTenant } from '../../policy/policy-tenant.ts';
import { rememberConnectorSecret, rememberIssuedSecret } from '../../secrets.ts';
import type { Properties } from '../cloud/cloud-service.ts';
import { type Credentials, cachedToken, fixed, type SharedCredentials, type Token } from '../cloud/credentials.ts';
import type { HttpSettings } from '../http/send-request.ts';
import { LruCache } from '../lru-cache.ts';
import { connectorProxy } from '../proxy/proxy.ts';
import { googleToken, parseGoogleCredentials } from './google-credentials.ts';
import { impersonated } from './impersonation.ts';
import { workerToken } from './worker-identity.ts';

/** What a request is authorized with; nothing for public buckets. */
export type GcsCredential = Token | { readonly anonymous: true };

/** Token credentials by the hash of their settings, because connectors are opened often with the same ones. */
const cached = new LruCache<string, SharedCredentials>(256);

/**
 * The credentials that a connector's properties select: `gcs.no-auth=true` and `gcs.oauth2.token` as for Iceberg's libraries, or `gcs.credentials`,
 * the JSON of a service account's key, an authorized user, or a workload identity federation. Otherwise they are the worker's own (Application
 * Default Credentials). With `gcp.impersonate.service-account` they are used to act as that account.
 *
 * @param isVended see `azureCredentials`
 * @throws CodedError `FAILED_PRECONDITION` for JSON of another kind, `PERMISSION_DENIED` if the worker's policy refuses its own identity
 */
export function gcsCredentials(properties: Properties, isVended = false): Credentials<GcsCredential> {
  if (properties['gcs.no-auth']?.toLowerCase() === 'true') {
    return fixed('a request without credentials (gcs.no-auth)', { anonymous: true as const });
  }
  const token = properties['gcs.oauth2.token'];
  if (token) {
    (isVended ? rememberIssuedSecret : rememberConnectorSecret)(token);
    return fixed('the token in gcs.oauth2.token', { value: token, expiresAt: Number.POSITIVE_INFINITY });
  }
  const proxy = connectorProxy(properties);
  const settings: HttpSettings = { via: 'google', ...(proxy && { proxy }) };
  const text = properties['gcs.credentials'];
  const grant = text ? undefined : currentPolicy().identity('google', policyTenant()).grant;
  const account = properties['gcp.impersonate.service-account'];
  const delegates = properties['gcp.impersonate.delegates'];
  const id = createHash('sha256')
    .update(JSON.stringify([text, account, delegates, proxy]))
    .digest('base64');
  const credentials = cached.get(id) ?? made();
  cached.set(id, credentials);
  if (grant !== undefined) credentials.grants.add(grant);
  return credentials;

  function made(): SharedCredentials {
    const given = text ? parseGoogleCredentials(text, 'gcs.credentials') : undefined;
    const source = given
      ? { name: `${given.name} (gcs.credentials)`, read: () => googleToken(given, settings) }
      : {
          name: "the worker's own Google credentials (GOOGLE_APPLICATION_CREDENTIALS, gcloud, metadata server)",
          read: () => workerToken({ ...settings, isWorkersOwn: true }),
        };
    const read = account
      ? async () => impersonated({ account, delegates: listed(delegates) }, await source.read(), settings)
      : source.read;
    const name = account ? `the service account ${account}, impersonated with ${source.name}` : source.name;
    return cachedToken(name, read, text);
  }
}

function listed(text = ''): string[] {
  return text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');
}
