import { CodedError } from '../../errors.ts';
import { rememberConnectorSecret } from '../../secrets.ts';

type Properties = Readonly<Record<string, string>>;

/** The parts of a connector that define its AWS credentials. */
interface WithSecret {
  properties: Properties;
  auth: { scheme: string; secret?: string; properties: Properties };
}

/** Without a secret, all of them mean the credentials of `client.*` and the services' own properties, or AWS's default chain. */
const SCHEMES = ['', 'none', 'aws', 'sigv4'];

/**
 * The connector's properties, with the keys from its secret as `client.*` credentials. A service's own properties (`glue.*`, `s3.*`, …)
 * override them.
 *
 * The secret is either `ACCESS_KEY_ID:SECRET_ACCESS_KEY[:SESSION_TOKEN]` or a JSON object with the names that AWS's tools print
 * (`AccessKeyId`, `SecretAccessKey`, `SessionToken`) or that settings use (`aws_access_key_id`, `access-key-id`, …).
 *
 * @throws CodedError `INVALID_ARGUMENT` for another scheme or a secret of another form; the message never contains the secret
 */
export function propertiesWithSecret({ properties, auth }: WithSecret): Properties {
  const { scheme, secret } = auth;
  if (!SCHEMES.includes(scheme)) {
    throw new CodedError('INVALID_ARGUMENT', `auth scheme ${scheme} is not supported for AWS; use aws, sigv4 or none`);
  }
  // `auth.properties` are more specific, so they override the others.
  const all = { ...properties, ...auth.properties };
  if (secret === undefined || secret === '') return all;
  if (scheme === 'none') {
    throw new CodedError('INVALID_ARGUMENT', 'auth scheme none takes no secret; use aws, or omit the secret');
  }
  const keys = keysOf(secret.trim());
  if (keys === undefined) {
    throw new CodedError(
      'INVALID_ARGUMENT',
      'the secret of auth.secret_ref contains no AWS keys: it must be ACCESS_KEY_ID:SECRET_ACCESS_KEY, or JSON with AccessKeyId and ' +
        'SecretAccessKey',
    );
  }
  // Only the whole secret is masked so far, not its parts.
  rememberConnectorSecret(keys.secret);
  if (keys.token) rememberConnectorSecret(keys.token);
  return {
    ...all,
    'client.access-key-id': keys.id,
    'client.secret-access-key': keys.secret,
    ...(keys.token && { 'client.session-token': keys.token }),
  };
}

interface Keys {
  id: string;
  secret: string;
  token?: string;
}

function keysOf(secret: string): Keys | undefined {
  if (!secret.startsWith('{')) {
    const [, id, key, token] = /^([^:\s]+):([^:\s]+)(?::(\S+))?$/.exec(secret) ?? [];
    return id && key ? { id, secret: key, token } : undefined;
  }
  let parsed: Record<string, unknown>;
  try {
    parsed = JSON.parse(secret);
  } catch {
    return undefined;
  }
  const found = new Map<string, string>();
  for (const [name, value] of Object.entries(parsed)) {
    if (typeof value === 'string') found.set(name.toLowerCase().replace(/^(aws|client|glue)[._-]?|[._-]/g, ''), value);
  }
  const [id, key] = [found.get('accesskeyid'), found.get('secretaccesskey')];
  return id && key ? { id, secret: key, token: found.get('sessiontoken') } : undefined;
}
