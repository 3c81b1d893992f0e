import { CodedError } from '../../../errors.ts';
import { rememberConnectorSecret } from '../../../secrets.ts';
import { awsRegion } from '../../../storage/aws/region.ts';
import { propertiesWithSecret } from '../../../storage/aws/secret-keys.ts';
import type { ConnectorSecrets } from '../../connector-secrets.ts';
import type { ResolvedSpec } from '../../connector-spec.ts';
import { sameOrigin } from '../catalog-uri.ts';
import type { HttpClient } from '../http-client.ts';
import { ANONYMOUS, type Authenticator, bearer } from './authenticator.ts';
import { OAuth2 } from './oauth2.ts';
import { sigV4 } from './sigv4.ts';

type Scheme = 'none' | 'bearer' | 'oauth2' | 'sigv4';

/** The spellings that are accepted. */
const SCHEMES: Readonly<Record<string, Scheme>> = {
  none: 'none',
  noop: 'none',
  anonymous: 'none',
  bearer: 'bearer',
  token: 'bearer',
  oauth2: 'oauth2',
  oauth: 'oauth2',
  'client-credentials': 'oauth2',
  client_credentials: 'oauth2',
  sigv4: 'sigv4',
  'aws-sigv4': 'sigv4',
  aws_sigv4: 'sigv4',
  aws: 'sigv4',
};

export interface AuthContext {
  secrets: ConnectorSecrets;
  /** The catalog's base URL. */
  base: string;
  /** Returns a client without credentials. `own` adds the connector's headers, which are only for URLs of the catalog. */
  tokenClient(own: boolean): HttpClient;
}

/**
 * The connector's properties and those of its auth, which take precedence. The secret of the scheme sigv4 is a pair of AWS keys; it becomes
 * `client.*` properties, which apply to storage too.
 */
export function connectorProperties(spec: ResolvedSpec): Readonly<Record<string, string>> {
  const properties = { ...spec.properties, ...spec.auth.properties };
  if (schemeOf(spec, properties) !== 'sigv4') return properties;
  return propertiesWithSecret({ ...spec, auth: { ...spec.auth, scheme: 'sigv4' } });
}

/**
 * Chooses how a connector authenticates, by `auth.scheme`. Without a scheme, the first of these decides: `rest.auth.type`,
 * `rest.sigv4-enabled=true`, a credential or token in Iceberg's own properties, the secret. A secret with a colon is a credential
 * (`client_id:client_secret`), because bearer tokens contain no colon (RFC 6750, section 2.1).
 *
 * @param properties of `connectorProperties`
 * @throws CodedError `INVALID_ARGUMENT` if scheme, secret and properties do not match
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
      return oauth2Authenticator(secret, properties, context);
    case 'sigv4':
      return sigV4Authenticator(properties, context);
  }
}

function schemeOf({ auth }: ResolvedSpec, properties: Readonly<Record<string, string>>): Scheme {
  const name = (auth.scheme || properties['rest.auth.type'] || '').toLowerCase();
  if (name !== '') {
    const scheme = Object.hasOwn(SCHEMES, name) ? SCHEMES[name] : undefined;
    if (scheme !== undefined) return scheme;
    throw new CodedError(
      'INVALID_ARGUMENT',
      `auth.scheme ${JSON.stringify(name)} is not supported for an Iceberg REST catalog. Use none, bearer, oauth2 or sigv4.`,
    );
  }
  if (properties['rest.sigv4-enabled']?.toLowerCase() === 'true') return 'sigv4';
  if (properties.credential || auth.secret?.includes(':')) return 'oauth2';
  return properties.token || auth.secret ? 'bearer' : 'none';
}

function oauth2Authenticator(
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
    throw new CodedError('INVALID_ARGUMENT', `oauth2-server-uri ${JSON.stringify(server)} is not an http(s) URL`);
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
 * Splits a credential at its first colon (`OAuth2Util.parseCredential`). The secret half is masked by itself too, because servers receive it
 * alone and some repeat in their errors what they received.
 */
function credentialOf(text: string, clientId: string | undefined): { clientId?: string; clientSecret: string } {
  const at = clientId === undefined ? text.indexOf(':') : -1;
  const id = at < 0 ? clientId : text.slice(0, at).trim();
  const clientSecret = clientId === undefined ? text.slice(at + 1).trim() : text;
  rememberConnectorSecret(clientSecret);
  return { ...(id !== undefined && { clientId: id }), clientSecret };
}

async function sigV4Authenticator(
  properties: Readonly<Record<string, string>>,
  context: AuthContext,
): Promise<Authenticator> {
  // As in Iceberg's clients, OAuth2 authenticates the request before it is signed, if there is a token or credential for it.
  const delegate =
    properties.credential || properties.token ? oauth2Authenticator(undefined, properties, context) : undefined;
  return sigV4({
    service: properties['rest.signing-name'] || 'execute-api',
    region: await awsRegion(properties, 'rest'),
    credentials: context.secrets.awsCredentials('rest', connectorProperties),
    delegate,
  });
}

function required(value: string | undefined, message: string): string {
  if (value) return value;
  throw new CodedError('INVALID_ARGUMENT', message);
}
