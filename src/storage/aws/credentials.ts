import { createHash } from 'node:crypto';
import { fromNodeProviderChain, fromTemporaryCredentials } from '@aws-sdk/credential-providers';
import { CodedError } from '../../errors.ts';
import { currentPolicy } from '../../policy/current-policy.ts';
import { ObtainedSecrets } from '../../policy/obtained-secrets.ts';
import { policyTenant } from '../../policy/policy-tenant.ts';
import type { Grant } from '../../policy/secret-grants.ts';
import { rememberIssuedSecret } from '../../secrets.ts';
import { LruCache } from '../lru-cache.ts';
import { connectorProxy, type ForwardProxy } from '../proxy/proxy.ts';
import { Rereadable } from '../rereadable.ts';
import { awsError } from './errors.ts';
import { awsRequestHandler } from './request-handler.ts';

/** The prefix of a service's own properties. */
export type AwsService = 's3' | 'glue' | 'rest' | 'secretsmanager';

export interface AwsCredentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
  readonly expiration?: Date;
}

/** Can be passed to the AWS SDK as `credentials`. */
export interface AwsCredentialProvider {
  (): Promise<AwsCredentials>;
  /** The SDK must ask for them each time: keys in a file have no expiry, and may be replaced at any time. */
  readonly memoized: true;
  /**
   * Reads the credentials again at their source, after a service has refused those that are given.
   *
   * @returns whether there are others now
   */
  renew(refused: AwsCredentials): Promise<boolean>;
}

type Properties = Readonly<Record<string, string>>;

/** Credentials are renewed this long before they expire. The SDK's own margin is 5 minutes, and by then they must be renewed. */
const RENEW_BEFORE_MS = 6 * 60_000;
/**
 * A session that is younger is not replaced if it is refused, because it is not the cause. Otherwise thousands of requests without permission would
 * become thousands of sessions.
 */
const MIN_SESSION_MS = 5_000;
/** Default length of a role's session (`client.assume-role.timeout-sec`). */
const ROLE_SESSION_SECONDS = 3_600;

/** Providers by the hash of their settings, because connectors are opened often with the same credentials. */
const providers = new LruCache<string, CachedProvider>(256);

/** Counts the calls of `readCredentialsAgain`. */
let round = 0;

/**
 * Makes every provider read credentials without an expiry again when they are next needed: those in files may have been replaced. Credentials
 * with an expiry are renewed before they expire.
 */
export function readCredentialsAgain(): void {
  round++;
}

/**
 * Returns a provider of the credentials that a connector's properties select. The properties are those of Iceberg's Java and Python libraries:
 * `<service>.access-key-id` with `.secret-access-key` and `.session-token`, the same with `client.`, `<service>.profile-name`,
 * `client.profile-name`, otherwise the chain of the AWS SDK (environment, shared files, web identity, container, instance). With
 * `client.assume-role.arn` (Java) or `<service>.role-arn`, `client.role-arn` (Python) these credentials are used to assume the role.
 *
 * Equal properties share one provider. It makes one request for all concurrent callers, and renews the credentials before they expire. It
 * rejects with `FAILED_PRECONDITION` if there are no credentials, with `UNAVAILABLE` if their source fails, and with the error that `awsError`
 * returns if the role cannot be assumed.
 *
 * A request that is signed with them has the id of their key, which is therefore limited to the same hosts as the key.
 *
 * @param options.isOwn they are for a request of the worker's own, which its policy does not limit
 * @throws CodedError `FAILED_PRECONDITION` for half a key pair, `PERMISSION_DENIED` if the worker's policy refuses its own credentials
 */
export function awsCredentials(
  properties: Properties,
  service: AwsService,
  { isOwn = false } = {},
): AwsCredentialProvider {
  const source = sourceOf(properties, service);
  const grant = isOwn ? undefined : workersGrant(source);
  const key = createHash('sha256').update(JSON.stringify(source)).digest('base64');
  let provider = providers.get(key);
  if (provider === undefined) {
    provider = cached(source);
    providers.set(key, provider);
  }
  if (grant !== undefined) provider.grants.add(grant);
  return provider;
}

/** Where the worker's policy allows its own credentials to be used; undefined for anywhere, and for keys that are not the worker's. */
function workersGrant({ keys, profile }: Source): Grant | undefined {
  if (keys !== undefined) return undefined;
  const [policy, tenant] = [currentPolicy(), policyTenant()];
  return (profile === undefined ? policy.identity('aws', tenant) : policy.profile(profile, tenant)).grant;
}

/** Whether the credentials that these properties select are the worker's (its AWS chain or a profile), or a role assumed with them. */
export function areWorkers(properties: Properties, service: AwsService): boolean {
  return sourceOf(properties, service).keys === undefined;
}

/** Whether the properties select nothing, so that the credentials are those of the worker's AWS chain as they are. */
export function isDefaultChain(properties: Properties, service: AwsService): boolean {
  const { keys, profile, role } = sourceOf(properties, service);
  return keys === undefined && profile === undefined && role === undefined;
}

/** Describes the credentials in error messages, without secrets. */
export function credentialsName(properties: Properties, service: AwsService): string {
  const source = sourceOf(properties, service);
  const { role } = source;
  return role === undefined ? baseName(source) : `the role ${role.params.RoleArn}, assumed with ${baseName(source)}`;
}

function baseName({ keys, profile }: Source): string {
  if (keys !== undefined) return `the keys in ${keys.property} (${keys.accessKeyId})`;
  if (profile !== undefined) return `the AWS profile ${profile} of the worker`;
  return "the worker's own AWS credentials (environment, shared files, container or instance role)";
}

/** A hash that is equal for properties that select the same credentials. Use it as a cache key; do not log it. */
export function credentialsKey(properties: Properties, service: AwsService): string {
  return createHash('sha256')
    .update(JSON.stringify(sourceOf(properties, service)))
    .digest('base64');
}

interface Source {
  /** For requests to STS and to AWS's sign-in services. */
  proxy?: ForwardProxy;
  keys?: { property: string; accessKeyId: string; secretAccessKey: string; sessionToken?: string };
  profile?: string;
  role?: {
    params: {
      RoleArn: string;
      RoleSessionName: string;
      ExternalId?: string;
      DurationSeconds: number;
      Tags?: { Key: string; Value: string }[];
    };
    endpoint?: string;
    region?: string;
  };
}

function sourceOf(properties: Properties, service: AwsService): Source {
  const setting = (name: string): string | undefined =>
    properties[`${service}.${name}`] || properties[`client.${name}`];
  const keys = keysOf(properties, service) ?? keysOf(properties, 'client');
  const profile = keys === undefined ? setting('profile-name') : undefined;
  const arn = properties['client.assume-role.arn'] || setting('role-arn');
  const proxy = keys === undefined || arn ? connectorProxy(properties) : undefined;
  if (!arn) return { proxy, keys, profile };
  const tags = Object.entries(properties).flatMap(([key, Value]) =>
    key.startsWith('client.assume-role.tags.') ? [{ Key: key.slice('client.assume-role.tags.'.length), Value }] : [],
  );
  return {
    proxy,
    keys,
    profile,
    role: {
      params: {
        RoleArn: arn,
        RoleSessionName: properties['client.assume-role.session-name'] || setting('role-session-name') || 'reconciler',
        ExternalId: properties['client.assume-role.external-id'] || undefined,
        DurationSeconds: secondsProperty(properties, 'client.assume-role.timeout-sec') ?? ROLE_SESSION_SECONDS,
        Tags: tags.length === 0 ? undefined : tags,
      },
      endpoint: properties['client.sts.endpoint'] || undefined,
      region: properties['client.region'] || properties['client.assume-role.region'] || undefined,
    },
  };
}

function keysOf(properties: Properties, prefix: string): Source['keys'] {
  const property = `${prefix}.access-key-id`;
  const accessKeyId = properties[property];
  const secretAccessKey = properties[`${prefix}.secret-access-key`];
  if (!accessKeyId && !secretAccessKey) return undefined;
  if (!accessKeyId || !secretAccessKey) {
    const [has, lacks] = accessKeyId ? ['access-key-id', 'secret-access-key'] : ['secret-access-key', 'access-key-id'];
    throw new CodedError(
      'FAILED_PRECONDITION',
      `${prefix}.${has} is set but ${prefix}.${lacks} is not; set both or neither`,
    );
  }
  return { property, accessKeyId, secretAccessKey, sessionToken: properties[`${prefix}.session-token`] || undefined };
}

function secondsProperty(properties: Properties, property: string): number | undefined {
  const text = properties[property];
  if (!text) return undefined;
  if (/^\d{1,6}$/.test(text)) return Number(text);
  throw new CodedError('FAILED_PRECONDITION', `${property}=${text} is not a number of seconds`);
}

/**
 * Returns a function that reads the credentials at their source each time it is called.
 *
 * @param limit limits credentials to the hosts of the worker's policy: whoever writes connectors chooses where a role is assumed
 */
function readerOf(
  source: Source,
  limit: (credentials: AwsCredentials) => AwsCredentials,
): () => Promise<AwsCredentials> {
  const { proxy, keys, profile, role } = source;
  const base =
    keys !== undefined
      ? async (): Promise<AwsCredentials> => ({
          accessKeyId: keys.accessKeyId,
          secretAccessKey: keys.secretAccessKey,
          ...(keys.sessionToken !== undefined && { sessionToken: keys.sessionToken }),
        })
      : chain(source, profile);
  if (role === undefined) return base;
  const assume = fromTemporaryCredentials({
    params: role.params,
    masterCredentials: Object.assign(async () => limit(await base()), { memoized: true }),
    clientConfig: {
      ...(role.region !== undefined && { region: role.region }),
      ...(role.endpoint !== undefined && { endpoint: role.endpoint }),
      requestHandler: awsRequestHandler({ proxy }),
    },
  });
  return () =>
    assume().catch((error) => {
      throw awsError(error, {
        failed: `cannot assume the role ${role.params.RoleArn}`,
        where: role.endpoint ?? process.env.AWS_ENDPOINT_URL_STS ?? 'AWS STS',
        credentials: baseName(source),
      });
    });
}

/** The AWS SDK's default chain, without what the SDK remembers of it. */
function chain(source: Source, profile: string | undefined): () => Promise<AwsCredentials> {
  const provide = fromNodeProviderChain({
    ...(profile !== undefined && { profile }),
    ignoreCache: true,
    clientConfig: { requestHandler: awsRequestHandler({ proxy: source.proxy, isWorkersOwn: true }) },
  });
  return () =>
    provide({ forceRefresh: true }).catch((error: Error) => {
      throw chainError(error, baseName(source));
    });
}

/**
 * If no source is configured, the error is final. If a source fails (STS, the container's endpoint), it may succeed later. A container's
 * endpoint is recognized by its variables, because the chain then reports that there are no credentials.
 */
function chainError(error: Error, credentials: string): CodedError {
  const container =
    process.env.AWS_CONTAINER_CREDENTIALS_RELATIVE_URI || process.env.AWS_CONTAINER_CREDENTIALS_FULL_URI;
  if (error.name !== 'CredentialsProviderError') {
    const failed = `cannot get ${credentials}`;
    const coded = awsError(error, { failed, where: 'AWS', credentials });
    return coded.code === 'INTERNAL' ? new CodedError('UNAVAILABLE', coded.message, { cause: error }) : coded;
  }
  if (container) {
    return new CodedError(
      'UNAVAILABLE',
      `cannot get ${credentials}: the container's endpoint ${container} returned none (${error.message})`,
      { cause: error },
    );
  }
  return new CodedError(
    'FAILED_PRECONDITION',
    `found no credentials in ${credentials}: ${error.message}. Configure them where the worker runs (AWS_ACCESS_KEY_ID and ` +
      'AWS_SECRET_ACCESS_KEY, ~/.aws/credentials or a role), or give the connector its own keys: the properties client.access-key-id and ' +
      'client.secret-access-key',
    { cause: error },
  );
}

interface CachedProvider extends AwsCredentialProvider {
  /** Those of all tenants that use it. */
  readonly grants: Set<Grant>;
}

/** Caches the credentials, renews them before they expire, and makes one request for all concurrent callers. */
function cached(source: Source): CachedProvider {
  const secrets = new ObtainedSecrets<AwsCredentials>(
    ({ accessKeyId, secretAccessKey, sessionToken }) => [accessKeyId, secretAccessKey, sessionToken],
    source.keys?.secretAccessKey,
  );
  const limit = (credentials: AwsCredentials) => secrets.limit(credentials);
  const read = readerOf(source, limit);
  let readIn = round;
  let readAt = 0;
  const held = new Rereadable(async () => {
    [readIn, readAt] = [round, performance.now()];
    const credentials = await read();
    rememberIssuedSecret(credentials.secretAccessKey);
    if (credentials.sessionToken !== undefined) rememberIssuedSecret(credentials.sessionToken);
    return credentials;
  });
  const isCurrent = (credentials: AwsCredentials) =>
    credentials.expiration === undefined ? readIn === round : msUntilExpiry(credentials) > RENEW_BEFORE_MS;
  const provide = async (): Promise<AwsCredentials> => limit(await current());
  const current = async (): Promise<AwsCredentials> => {
    const { value } = held;
    if (value !== undefined && isCurrent(value)) return value;
    try {
      return await held.reread();
    } catch (error) {
      // The old credentials are still valid for some minutes, or have no expiry.
      if (value !== undefined && msUntilExpiry(value) > 0) return value;
      throw error;
    }
  };
  const renew = async (refused: AwsCredentials): Promise<boolean> => {
    const isNewSession = refused.expiration !== undefined && performance.now() - readAt < MIN_SESSION_MS;
    return isNewSession && held.value === refused ? false : held.renew(refused);
  };
  return Object.assign(provide, { memoized: true as const, renew, grants: secrets.grants });
}

function msUntilExpiry({ expiration }: AwsCredentials): number {
  return expiration === undefined ? Number.POSITIVE_INFINITY : expiration.getTime() - Date.now();
}
