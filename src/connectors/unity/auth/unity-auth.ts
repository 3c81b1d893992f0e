import { CodedError } from '../../../errors.ts';
import { currentPolicy } from '../../../policy/current-policy.ts';
import { policyTenant } from '../../../policy/policy-tenant.ts';
import { governSecret } from '../../../policy/secret-grants.ts';
import { rememberConnectorSecret } from '../../../secrets.ts';
import type { ResolvedSpec } from '../../connector-spec.ts';
import { ANONYMOUS, type Authenticator, bearer } from '../../rest/auth/authenticator.ts';
import { OAuth2 } from '../../rest/auth/oauth2.ts';
import { sameOrigin } from '../../rest/catalog-uri.ts';
import type { HttpClient } from '../../rest/http-client.ts';
import { CliToken } from './cli-token.ts';
import { type DatabricksProfile, databricksProfile } from './databricks-profile.ts';

export interface UnityAuthContext {
  /** The URL of the workspace or server. */
  host: string;
  /** Returns a client without credentials. `own` adds the connector's headers, which are only for URLs of the workspace. */
  tokenClient(own: boolean): HttpClient;
}

/** The scope of all calls of a workspace. */
const SCOPE = 'all-apis';

/**
 * Chooses how a connector authenticates, by `auth.scheme`: none, bearer (a token of any kind), or oauth2 (a service principal of Databricks). Without a
 * scheme, the secret decides: `client_id:client_secret` is a service principal. Instead of a secret there may be the auth property `profile`, a
 * profile of `.databrickscfg`, or `mode=cli`, for the token of the Databricks CLI.
 *
 * @throws CodedError `INVALID_ARGUMENT` if scheme, secret and properties do not match; errors of `databricksProfile`
 */
export async function unityAuthenticator({ auth }: ResolvedSpec, context: UnityAuthContext): Promise<Authenticator> {
  const { scheme, secret, properties } = auth;
  const { profile } = properties;
  const mode = properties.mode?.toLowerCase();
  if (mode !== undefined && mode !== '' && mode !== 'cli') {
    throw new CodedError(
      'INVALID_ARGUMENT',
      `the auth property mode is ${JSON.stringify(mode)}; only cli is supported`,
    );
  }
  const own = [secret && 'a secret', profile && 'the auth property profile', mode && 'the auth property mode'];
  const given = own.filter(Boolean);
  if (given.length > 1 && !(profile && mode && !secret)) {
    throw new CodedError('INVALID_ARGUMENT', `the connector has ${given.join(' and ')}; give only one of them`);
  }
  if (scheme === 'none') return ANONYMOUS;
  if (mode) return cliToken(context, profile);
  if (profile) return ofProfile(await allowedProfile(profile, context.host), properties, context);
  switch (scheme) {
    case '':
      if (!secret) return ANONYMOUS;
      return secret.includes(':') || properties['client-id'] ? principal(secret, properties, context) : bearer(secret);
    case 'bearer':
      return bearer(required(secret, 'the scheme bearer needs a token: a secret, or the auth property profile'));
    case 'oauth2':
      return principal(
        required(
          secret,
          'the scheme oauth2 needs a service principal: a secret CLIENT_ID:CLIENT_SECRET, or only the client secret with the auth property client-id; ' +
            'or the auth property profile, or mode=cli',
        ),
        properties,
        context,
      );
    default:
      throw new CodedError(
        'INVALID_ARGUMENT',
        `auth.scheme ${JSON.stringify(scheme)} is not supported for Unity Catalog. Use none, bearer or oauth2.`,
      );
  }
}

/** @throws PolicyError if the worker's policy does not list the profile; errors of `databricksProfile` */
async function allowedProfile(name: string, host: string): Promise<DatabricksProfile> {
  const { grant } = currentPolicy().profile(name, policyTenant());
  const profile = await databricksProfile(name, host);
  for (const secret of [profile.token, profile.clientSecret]) {
    if (secret !== undefined && grant !== undefined) governSecret(secret, grant);
  }
  return profile;
}

function ofProfile(
  { name, token, clientId, clientSecret, authType }: DatabricksProfile,
  properties: Readonly<Record<string, string>>,
  context: UnityAuthContext,
): Authenticator {
  const isOf = (type: string) => authType === undefined || authType === type;
  if (token && isOf('pat')) return bearer(token);
  if (clientId && clientSecret && isOf('oauth-m2m')) {
    // The profile is the worker's, and whoever creates the connector chooses the URL.
    const url = properties['oauth2-server-uri'];
    if (url && !sameOrigin(url, context.host)) {
      throw new CodedError(
        'INVALID_ARGUMENT',
        `oauth2-server-uri ${JSON.stringify(url)} is not at the connector's URI ${context.host}, and the secret of the profile [${name}] is sent to no other ` +
          'host. Remove the auth property oauth2-server-uri, or give the connector a secret of its own.',
      );
    }
    return principal(clientSecret, { ...properties, 'client-id': clientId }, context);
  }
  if (authType === 'databricks-cli') return cliToken(context, name);
  throw new CodedError(
    'FAILED_PRECONDITION',
    `the Databricks profile [${name}] has ${authType ? `the auth_type ${authType}` : 'no token and no client_id with client_secret'}. Supported are ` +
      'token (auth_type pat), client_id and client_secret (oauth-m2m), and databricks-cli.',
  );
}

function cliToken({ host, tokenClient }: UnityAuthContext, profile?: string): Authenticator {
  const [policy, tenant] = [currentPolicy(), policyTenant()];
  const { grant } = profile === undefined ? policy.identity('databricks', tenant) : policy.profile(profile, tenant);
  return new CliToken({ client: tokenClient(true), host, tokenUrl: tokenUrl(host), profile, grant });
}

/** OAuth2 with the credentials of a service principal (Databricks: "OAuth machine-to-machine"). */
function principal(
  secret: string,
  properties: Readonly<Record<string, string>>,
  { host, tokenClient }: UnityAuthContext,
): Authenticator {
  const id = properties['client-id'];
  const at = id ? -1 : secret.indexOf(':');
  const clientId = (id ?? secret.slice(0, Math.max(at, 0))).trim();
  const clientSecret = secret.slice(at + 1).trim();
  if (clientId === '') {
    throw new CodedError(
      'INVALID_ARGUMENT',
      'the secret of a service principal is CLIENT_ID:CLIENT_SECRET, or only the client secret with the auth property client-id',
    );
  }
  rememberConnectorSecret(clientSecret);
  const url = properties['oauth2-server-uri'] || tokenUrl(host);
  if (!URL.canParse(url) || !/^https?:/i.test(url)) {
    throw new CodedError('INVALID_ARGUMENT', `oauth2-server-uri ${JSON.stringify(url)} is not an http(s) URL`);
  }
  return new OAuth2({
    client: tokenClient(sameOrigin(url, host)),
    tokenUrl: url,
    credential: { clientId, clientSecret },
    credentialIn: 'header',
    scope: properties.scope || SCOPE,
    parameters: {},
    exchange: false,
  });
}

const tokenUrl = (host: string) => `${host}/oidc/v1/token`;

function required(value: string | undefined, message: string): string {
  if (value) return value;
  throw new CodedError('INVALID_ARGUMENT', message);
}
