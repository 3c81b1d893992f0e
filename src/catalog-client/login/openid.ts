import * as openid from 'openid-client';
import { CodedError } from '../../errors.ts';
import { isThisMachine } from '../../policy/this-machine.ts';
import { rememberIssuedSecret } from '../../secrets.ts';
import { isJwt, jwtExpiry } from '../tokens/jwt-expiry.ts';
import { type Login, loginEnded } from './login-file.ts';

export type LoginRequest = Pick<Login, 'issuer' | 'clientId' | 'scope' | 'audience'>;

/** A log-in that waits for a person to confirm it in a browser (RFC 8628). */
export interface PendingLogin {
  userCode: string;
  /** Where the person enters the code. */
  url: string;
  /** The same with the code, if the provider has such a page. */
  urlWithCode?: string;
  /** @throws CodedError UNAUTHENTICATED if the person refuses or takes too long; the signal's reason if it is aborted */
  finish(signal: AbortSignal): Promise<Login>;
}

/**
 * Asks an OpenID provider for a log-in.
 *
 * @throws CodedError INVALID_ARGUMENT if the provider does not know the client, or has no log-in by code; UNAVAILABLE if it does not answer
 */
export async function startLogin(request: LoginRequest): Promise<PendingLogin> {
  const config = await discover(request);
  if (config.serverMetadata().device_authorization_endpoint === undefined)
    throw new CodedError('INVALID_ARGUMENT', `${request.issuer} has no log-in by code (device authorization grant)`);
  const parameters = { scope: request.scope, ...audienceOf(request) };
  const started = await openid.initiateDeviceAuthorization(config, parameters).catch((error) => {
    throw described(error, request);
  });
  return {
    userCode: started.user_code,
    url: started.verification_uri,
    urlWithCode: started.verification_uri_complete,
    async finish(signal) {
      const response = await openid
        .pollDeviceAuthorizationGrant(config, started, audienceOf(request), { signal })
        .catch((error) => {
          signal.throwIfAborted();
          throw described(error, request);
        });
      return loginOf(request, response);
    },
  };
}

/**
 * Exchanges the refresh token for new tokens.
 *
 * @throws CodedError UNAUTHENTICATED if the provider refuses it, UNAVAILABLE if the provider does not answer
 */
export async function refreshLogin(login: Login): Promise<Login> {
  const config = await discover(login);
  try {
    const response = await openid.refreshTokenGrant(config, login.refreshToken ?? '', audienceOf(login));
    return { ...loginOf(login, response), refreshToken: response.refresh_token ?? login.refreshToken };
  } catch (error) {
    if (error instanceof openid.ResponseBodyError && error.status < 500) throw loginEnded(login, reasonOf(error));
    throw described(error, login);
  }
}

async function discover({ issuer, clientId }: LoginRequest): Promise<openid.Configuration> {
  const isPlain = new URL(issuer).protocol === 'http:';
  if (isPlain && !isThisMachine(issuer))
    throw new CodedError(
      'INVALID_ARGUMENT',
      `the issuer ${issuer} has no https://, without which tokens could be read`,
    );
  const execute = isPlain ? [openid.allowInsecureRequests] : [];
  return openid.discovery(new URL(issuer), clientId, undefined, openid.None(), { execute }).catch((error) => {
    throw described(error, { issuer, clientId });
  });
}

/** RFC 8707 names the audience `resource`, which is a URI; some providers know only `audience`. */
function audienceOf({ audience }: Pick<Login, 'audience'>): Record<string, string> {
  if (audience === undefined) return {};
  return URL.canParse(audience) ? { audience, resource: audience } : { audience };
}

/** The access token is sent to the catalog service, or the ID token if the provider's access tokens are not JWTs (Google's are not). */
function loginOf(request: LoginRequest, response: openid.TokenEndpointResponse): Login {
  const { access_token: accessToken, id_token: idToken, refresh_token: refreshToken, expires_in: seconds } = response;
  const token = isJwt(accessToken) ? accessToken : idToken;
  if (token === undefined) {
    throw new CodedError(
      'FAILED_PRECONDITION',
      `${request.issuer} issued an access token that is not a JWT, which the catalog service cannot check. ` +
        'Name the audience that the catalog service expects with --audience, or add openid to --scope.',
    );
  }
  for (const secret of [token, refreshToken]) if (secret !== undefined) rememberIssuedSecret(secret);
  const { issuer, clientId, scope, audience } = request;
  const expiresAt = jwtExpiry(token) ?? (seconds === undefined ? undefined : Date.now() + seconds * 1000);
  return { issuer, clientId, scope, audience, token, refreshToken, expiresAt };
}

/** A failure in one sentence, without what was sent. */
function described(error: unknown, { issuer, clientId }: Pick<Login, 'issuer' | 'clientId'>): Error {
  if (error instanceof CodedError) return error;
  if (error instanceof openid.ResponseBodyError) {
    const code = /^(access_denied|expired_token)$/.test(error.error) ? 'UNAUTHENTICATED' : 'INVALID_ARGUMENT';
    return new CodedError(code, `${issuer} refused to log in the client ${clientId}: ${reasonOf(error)}`);
  }
  const { message, cause } = error as Error & { cause?: { code?: string; status?: number } };
  const status = cause instanceof Response ? `it responded with ${cause.status}` : undefined;
  return new CodedError(
    'UNAVAILABLE',
    `the OpenID provider ${issuer} cannot be used: ${status ?? cause?.code ?? message}`,
  );
}

function reasonOf({ error, error_description: description }: openid.ResponseBodyError): string {
  if (error === 'access_denied') return 'the log-in was declined';
  if (error === 'expired_token') return 'nobody confirmed the log-in in time';
  return (description ? `${description} (${error})` : error).slice(0, 300);
}
