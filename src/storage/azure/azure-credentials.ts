import { createHash } from 'node:crypto';
import { CodedError } from '../../errors.ts';
import { currentPolicy } from '../../policy/current-policy.ts';
import { policyTenant } from '../../policy/policy-tenant.ts';
import { rememberConnectorSecret, rememberIssuedSecret } from '../../secrets.ts';
import type { Properties } from '../cloud/cloud-service.ts';
import { type Credentials, cachedToken, fixed, type SharedCredentials, type Token } from '../cloud/credentials.ts';
import { LruCache } from '../lru-cache.ts';
import { connectorProxy } from '../proxy/proxy.ts';
import { accountName, ofAccount } from './azure-endpoint.ts';
import { parseConnectionString } from './connection-string.ts';
import { principalToken } from './principal.ts';
import { workerToken } from './worker-identity.ts';

/** What a request to the Blob service is authorized with; nothing for public containers. */
export type AzureCredential =
  | { readonly key: string; readonly account: string }
  | { readonly sas: string }
  | Token
  | { readonly anonymous: true };

/** Token credentials by the hash of their settings, because connectors are opened often with the same ones. */
const cached = new LruCache<string, SharedCredentials>(256);

/**
 * The credentials for an account. The properties are those of Iceberg's Java and Python libraries, in this order: `adls.connection-string`,
 * `adls.sas-token` (each also with the account's host or name after another dot), `adls.auth.shared-key.account.name` with `.key` or
 * `adls.account-name` with `adls.account-key`, `adls.token`, `adls.tenant-id` with `adls.client-id` and `adls.client-secret`, `adls.anon`.
 * Otherwise they are the worker's own; `adls.client-id` alone then chooses a managed identity.
 *
 * @param isVended a catalog issued them: it issues many, which would push the connectors' own out of those that are masked
 * @throws CodedError `FAILED_PRECONDITION` for incomplete credentials, `PERMISSION_DENIED` if the worker's policy refuses its own identity
 */
export function azureCredentials(properties: Properties, host: string, isVended = false): Credentials<AzureCredential> {
  const own = ownCredentials(properties, host, isVended ? rememberIssuedSecret : rememberConnectorSecret);
  if (own !== undefined) return own;
  const [clientId, tenantId] = [properties['adls.client-id'], properties['adls.tenant-id']];
  const proxy = connectorProxy(properties);
  const { grant } = currentPolicy().identity('azure', policyTenant());
  const workers = shared(['worker', clientId, tenantId, proxy], () =>
    cachedToken("the worker's own Azure identity (environment, workload or managed identity, Azure CLI)", () =>
      workerToken({ ...(clientId && { clientId }), ...(tenantId && { tenantId }), proxy }),
    ),
  );
  if (grant !== undefined) workers.grants.add(grant);
  return workers;
}

type Remember = (secret: string) => void;

function ownCredentials(
  properties: Properties,
  host: string,
  remember: Remember,
): Credentials<AzureCredential> | undefined {
  const [account] = accountName(host);
  const connection = parseConnectionString(ofAccount(properties, 'adls.connection-string', host) ?? '');
  if (connection.sas !== undefined) return sas(connection.sas, "the connection string's SAS token", remember);
  if (connection.key !== undefined) {
    return key(connection.key, connection.account ?? account, "the connection string's account key", remember);
  }
  const token = ofAccount(properties, 'adls.sas-token', host);
  if (token !== undefined) return sas(token, `the SAS token for ${account} (adls.sas-token)`, remember);
  for (const [name, value] of [
    ['adls.auth.shared-key.account.name', 'adls.auth.shared-key.account.key'],
    ['adls.account-name', 'adls.account-key'],
  ] as const) {
    const accountKey = properties[value];
    if (!accountKey) continue;
    const named = properties[name] ?? '';
    if (named.toLowerCase() === account)
      return key(accountKey, account, `the key of account ${account} (${value})`, remember);
    throw incomplete(
      named === ''
        ? `${value} is set but ${name} is not; set both or neither`
        : `${value} is the key of account ${named}, not of ${account}: set adls.connection-string.${host} or adls.sas-token.${host} for this account`,
    );
  }
  const value = properties['adls.token'];
  if (value) {
    remember(value);
    return fixed('the token in adls.token', { value, expiresAt: Number.POSITIVE_INFINITY });
  }
  const secret = properties['adls.client-secret'];
  if (secret) {
    const [clientId, tenantId] = [properties['adls.client-id'], properties['adls.tenant-id']];
    if (!clientId || !tenantId) {
      throw incomplete('adls.client-secret is set, but adls.client-id or adls.tenant-id is not; set all three');
    }
    remember(secret);
    const principal = { clientId, tenantId, secret };
    const proxy = connectorProxy(properties);
    return shared(['principal', principal, proxy], () =>
      cachedToken(
        `the service principal ${clientId} (adls.client-id)`,
        () => principalToken(principal, { proxy }),
        secret,
      ),
    );
  }
  return properties['adls.anon']?.toLowerCase() === 'true'
    ? fixed('a request without credentials (adls.anon)', { anonymous: true as const })
    : undefined;
}

function key(text: string, account: string, name: string, remember: Remember): Credentials<AzureCredential> {
  remember(text);
  return fixed(name, { key: text, account });
}

function sas(text: string, name: string, remember: Remember): Credentials<AzureCredential> {
  const token = text.replace(/^\?/, '');
  remember(token);
  // Errors and logs may show a single parameter.
  remember(new URLSearchParams(token).get('sig') ?? '');
  return fixed(name, { sas: token });
}

function shared(settings: unknown, make: () => SharedCredentials): SharedCredentials {
  const id = createHash('sha256').update(JSON.stringify(settings)).digest('base64');
  const known = cached.get(id) ?? make();
  cached.set(id, known);
  return known;
}

function incomplete(message: string): CodedError {
  return new CodedError('FAILED_PRECONDITION', message);
}
