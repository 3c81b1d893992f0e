import { createHash } from 'node:crypto';
import { fromNodeProviderChain, fromTemporaryCredentials } from '@aws-sdk/credential-providers';
import { CodedError } from '../../errors.ts';
import { rememberIssuedSecret } from '../../secrets.ts';
import { LruCache } from '../lru-cache.ts';
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
export type AwsCredentialProvider = () => Promise<AwsCredentials>;

type Properties = Readonly<Record<string, string>>;

/** Credentials are renewed this long before they expire. The SDK's own margin is 5 minutes, and by then they must be renewed. */
const RENEW_BEFORE_MS = 6 * 60_000;
/** Default length of a role's session (`client.assume-role.timeout-sec`). */
const ROLE_SESSION_SECONDS = 3_600;

/** Providers by the hash of their settings, because connectors are opened often with the same credentials. */
const providers = new LruCache<string, AwsCredentialProvider>(256);

/**
 * Returns a provider of the credentials that a connector's properties select. The properties are those of Iceberg's Java and Python libraries:
 * `<service>.access-key-id` with `.secret-access-key` and `.session-token`, the same with `client.`, `<service>.profile-name`,
 * `client.profile-name`, otherwise the chain of the AWS SDK (environment, shared files, web identity, container, instance). With
 * `client.assume-role.arn` (Java) or `<service>.role-arn`, `client.role-arn` (Python) these credentials are used to assume the role.
 *
 * Equal properties share one provider. It makes one request for all concurrent callers, and renews the credentials before they expire. It
 * rejects with `UNAUTHENTICATED` if there are no credentials, with `UNAVAILABLE` if their source fails, and with the error that `awsError`
 * returns if the role cannot be assumed.
 *
 * @throws CodedError `INVALID_ARGUMENT` for half a key pair
 */
export function awsCredentials(properties: Properties, service: AwsService): AwsCredentialProvider {
  const source = sourceOf(properties, service);
  const key = createHash('sha256').update(JSON.stringify(source)).digest('base64');
  let provider = providers.get(key);
  if (provider === undefined) {
    provider = cached(providerOf(source));
    providers.set(key, provider);
  }
  return provider;
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
  if (!arn) return { keys, profile };
  const tags = Object.entries(properties).flatMap(([key, Value]) =>
    key.startsWith('client.assume-role.tags.') ? [{ Key: key.slice('client.assume-role.tags.'.length), Value }] : [],
  );
  return {
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
      'INVALID_ARGUMENT',
      `${prefix}.${has} is set but ${prefix}.${lacks} is not; set both or neither`,
    );
  }
  return { property, accessKeyId, secretAccessKey, sessionToken: properties[`${prefix}.session-token`] || undefined };
}

function secondsProperty(properties: Properties, property: string): number | undefined {
  const text = properties[property];
  if (!text) return undefined;
  if (/^\d{1,6}$/.test(text)) return Number(text);
  throw new CodedError('INVALID_ARGUMENT', `${property}=${text} is not a number of seconds`);
}

function providerOf(source: Source): AwsCredentialProvider {
  const { keys, profile, role } = source;
  const base: AwsCredentialProvider =
    keys !== undefined
      ? async () => ({
          accessKeyId: keys.accessKeyId,
          secretAccessKey: keys.secretAccessKey,
          ...(keys.sessionToken !== undefined && { sessionToken: keys.sessionToken }),
        })
      : chain(source, profile);
  if (role === undefined) return base;
  const assume = fromTemporaryCredentials({
    params: role.params,
    masterCredentials: base,
    clientConfig: {
      ...(role.region !== undefined && { region: role.region }),
      ...(role.endpoint !== undefined && { endpoint: role.endpoint }),
      requestHandler: awsRequestHandler(),
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

/** The AWS SDK's default chain. */
function chain(source: Source, profile: string | undefined): AwsCredentialProvider {
  const provide = fromNodeProviderChain(profile === undefined ? {} : { profile });
  return () =>
    provide().catch((error: Error) => {
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
    'UNAUTHENTICATED',
    `found no credentials in ${credentials}: ${error.message}. Configure them where the worker runs, or give the connector its own keys`,
    { cause: error },
  );
}

/** Caches the credentials, renews them before they expire, and makes one request for all concurrent callers. */
function cached(provide: AwsCredentialProvider): AwsCredentialProvider {
  let current: AwsCredentials | undefined;
  let pending: Promise<AwsCredentials> | undefined;
  const refresh = async (): Promise<AwsCredentials> => {
    try {
      current = await provide();
      rememberIssuedSecret(current.secretAccessKey);
      if (current.sessionToken !== undefined) rememberIssuedSecret(current.sessionToken);
      return current;
    } catch (error) {
      // The old credentials are still valid for some minutes.
      if (current !== undefined && msUntilExpiry(current) > 0) return current;
      throw error;
    } finally {
      pending = undefined;
    }
  };
  return async () => {
    if (current !== undefined && msUntilExpiry(current) > RENEW_BEFORE_MS) return current;
    pending ??= refresh();
    return pending;
  };
}

function msUntilExpiry({ expiration }: AwsCredentials): number {
  return expiration === undefined ? Number.POSITIVE_INFINITY : expiration.getTime() - Date.now();
}
