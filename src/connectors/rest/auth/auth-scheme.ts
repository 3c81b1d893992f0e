import { CodedError } from '../../../errors.ts';
import { rememberOwnSecret } from '../../../secrets.ts';
import { awsCredentials } from '../../../storage/aws/credentials.ts';
import { awsRegion } from '../../../storage/aws/region.ts';
import { propertiesWithSecret } from '../../../storage/aws/secret-keys.ts';
import type { ResolvedSpec } from '../../connector-spec.ts';
import { sameOrigin } from '../catalog-uri.ts';
import type { HttpClient } from '../http-client.ts';
import { ANONYMOUS, type Authenticator, bearer } from './authenticator.ts';
import { OAuth2 } from './oauth2.ts';
import { sigV4 } from './sigv4.ts';

type Scheme = 'none' | 'bearer' | 'oauth2' | 'sigv4';

/** What people write. */
const SCHEMES: Readonly<Record<string, Scheme>> = {
  none: 'none',
  noop: 'none',
  anonymous: 'none',
  bearer: 'bearer',
  token: 'bearer',
  oauth2Authenticator: 'oauth2',
  oauth: 'oauth2',
  'client-credentials': 'oauth2',
  client_credentials: 'oauth2',
  sigv4: 'sigv4',
  'aws-sigv4': 'sigv4',
  aws_sigv4: 'sigv4',
  aws: 'sigv4',
};

export interface AuthContext {
  /** Of the catalog. */
  base: string;
  /** A client without credentials; `own` with the connector's own headers, for addresses of the catalog only. */
  tokenClient(own: boolean): HttpClient;
}

/**
 * The connector's properties and those of its auth, which win. A secret of the scheme sigv4 is AWS keys: they stand there as `client.*`
 * credentials, good for storage too.
 */
export function connectorProperties(spec: ResolvedSpec): Readonly<Record<string, string>> {
  const properties = { ...spec.properties, ...spec.auth.properties };
  if (schemeOf(spec, properties) !== 'sigv4') return properties;
  return propertiesWithSecret({ ...spec, auth: { ...spec.auth, scheme: 'sigv4' } });
}

/**
 * How a connector authenticates, by `auth.scheme`; without one by what else there is: `rest.auth.type`, `rest.sigv4-enabled=true`, a
 * credential or token of Iceberg's own properties, or a secret. A secret with a colon is a credential (`client_id:client_secret`): no
 * bearer token has one (RFC 6750, section 2.1).
 *
 * @param properties as `ownProperties` gives them
 * @throws CodedError `INVALID_ARGUMENT` where scheme, secret and properties do not fit together
 */
export async function authenticatorOf(
  spec: ResolvedSpec,
  properties: Readonly<Record<string, string>>,
  context: AuthContext,
): Promise<Authenticator> {
  const { secret } = spec.auth;
  switch (schemeOf(spec, properties)) {
    case 'none':
      return ANONYMOUS;
    case 'bearer':
      return bearer(
        required(secret || properties.token, 'the scheme bearer needs a token: a secret, or the property token'),
      );
    case 'oauth2':
      return oauth2(secret, properties, context);
    case 'sigv4':
      return sigV4Authenticator(properties, context);
  }
}

function schemeOf({ auth }: ResolvedSpec, properties: Readonly<Record<string, string>>): Scheme {
  const said = (auth.scheme || properties['rest.auth.type'] || '').toLowerCase();
  if (said !== '') {
    const scheme = Object.hasOwn(SCHEMES, said) ? SCHEMES[said] : undefined;
    if (scheme !== undefined) return scheme;
    throw new CodedError(
      'INVALID_ARGUMENT',
      `auth.scheme ${JSON.stringify(said)} is not known for an Iceberg REST catalog; none, bearer, oauth2 and sigv4 are`,
    );
  }
  if (properties['rest.sigv4-enabled']?.toLowerCase() === 'true') return 'sigv4';
  if (properties.credential || auth.secret?.includes(':')) return 'oauth2';
  return properties.token || auth.secret ? 'bearer' : 'none';
}

function oauth2(
  secret: string | undefined,
  properties: Readonly<Record<string, string>>,
  { base, tokenClient }: AuthContext,
): Authenticator {
  const text = secret || properties.credential;
  const clientId = properties['client-id'] || undefined;
  if (!text && !properties.token) {
    throw new CodedError(
      'INVALID_ARGUMENT',
      'the scheme oauth2 needs a credential: a secret client_id:client_secret, or the client secret with the auth property client-id',
    );
  }
  const server = properties['oauth2-server-uri'] || 'v1/oauth/tokens';
  if (/^[a-z]+:/i.test(server) && !(URL.canParse(server) && /^https?:/i.test(server))) {
    throw new CodedError('INVALID_ARGUMENT', `oauth2-server-uri ${JSON.stringify(server)} is no http(s) URL`);
  }
  const tokenUrl = /^https?:/i.test(server) ? server : `${base}/${server.replace(/^\/+/, '')}`;
  return new OAuth2({
    client: tokenClient(sameOrigin(tokenUrl, base)),
    tokenUrl,
    credential: text ? credentialOf(text, clientId) : undefined,
    token: properties.token?.trim() || undefined,
    scope: properties.scope || 'catalog',
    parameters: {
      ...(properties.audience && { audience: properties.audience }),
      ...(properties.resource && { resource: properties.resource }),
    },
    exchange:
      properties['token-exchange-enabled']?.toLowerCase() !== 'false' &&
      properties['token-refresh-enabled']?.toLowerCase() !== 'false',
  });
}

/**
 * The first colon divides (`OAuth2Util.parseCredential`). The secret half is masked by itself too: servers are sent it alone, and some
 * say in their errors what they were sent.
 */
function credentialOf(text: string, clientId: string | undefined): { clientId?: string; clientSecret: string } {
  const at = clientId === undefined ? text.indexOf(':') : -1;
  const id = at < 0 ? clientId : text.slice(0, at).trim();
  const clientSecret = clientId === undefined ? text.slice(at + 1).trim() : text;
  rememberOwnSecret(clientSecret);
  return { ...(id !== undefined && { clientId: id }), clientSecret };
}

async function sigV4Authenticator(
  properties: Readonly<Record<string, string>>,
  context: AuthContext,
): Promise<Authenticator> {
  // Iceberg's clients sign what OAuth2 has authenticated, where there is a token or credential for that too.
  const delegate = properties.credential || properties.token ? oauth2(undefined, properties, context) : undefined;
  return sigV4({
    service: properties['rest.signing-name'] || 'execute-api',
    region: await awsRegion(properties, 'rest'),
    credentials: awsCredentials(properties, 'rest'),
    delegate,
  });
}

function required(value: string | undefined, message: string): string {
  if (value) return value;
  throw new CodedError('INVALID_ARGUMENT', message);
}
