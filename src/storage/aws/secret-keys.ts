import { CodedError } from '../../errors.ts';
import { rememberConnectorSecret } from '../../secrets.ts';

type Properties = Readonly<Record<string, string>>;

/** A connector, as far as it says who asks AWS. */
interface WithSecret {
  properties: Properties;
  auth: { scheme: string; secret?: string; properties: Properties };
}

/** Without a secret all of them mean AWS's default chain, or what `client.*` and the services' own properties say. */
const SCHEMES = ['', 'none', 'aws', 'sigv4'];

/**
 * The connector's properties, with the keys of its secret as `client.*` credentials: what a service's own
 * properties (`glue.*`, `s3.*`, …) say goes before them.
 *
 * The secret is either `ACCESS_KEY_ID:SECRET_ACCESS_KEY[:SESSION_TOKEN]` or a JSON object, as AWS's own tools print them
 * (`AccessKeyId`, `SecretAccessKey`, `SessionToken`) or as they stand in settings (`aws_access_key_id`, `access-key-id`, …).
 *
 * @throws CodedError `INVALID_ARGUMENT` for another scheme or a secret of another form; it never repeats the secret
 */
export function propertiesWithSecret({ properties, auth }: WithSecret): Properties {
  const { scheme, secret } = auth;
  if (!SCHEMES.includes(scheme)) {
    throw new CodedError('INVALID_ARGUMENT', `auth scheme ${scheme} is not for AWS: give aws, sigv4 or none`);
  }
  // Later ones win: `auth.properties` are the narrower ones.
  const all = { ...properties, ...auth.properties };
  if (secret === undefined || secret === '') return all;
  if (scheme === 'none') {
    throw new CodedError('INVALID_ARGUMENT', 'auth scheme none takes no secret: give aws, or leave the secret out');
  }
  const keys = keysOf(secret.trim());
  if (keys === undefined) {
    throw new CodedError(
      'INVALID_ARGUMENT',
      'the secret of auth.secret_ref holds no AWS keys: it is to be ACCESS_KEY_ID:SECRET_ACCESS_KEY, or JSON with AccessKeyId and ' +
        'SecretAccessKey',
    );
  }
  // Parts of a secret that is known as a whole only.
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
