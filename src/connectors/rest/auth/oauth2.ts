import { CodedError } from '../../../errors.ts';
import { JsonFields } from '../../../formats/json/json-fields.ts';
import { MalformedError } from '../../../formats/malformed.ts';
import { rememberConnectorSecret, rememberIssuedSecret } from '../../../secrets.ts';
import type { HttpClient } from '../http-client.ts';
import { ResponseError } from '../response-error.ts';
import { type Authenticator, type OutgoingRequest, withBearer } from './authenticator.ts';

export interface OAuth2Options {
  /** Sends the token requests without adding credentials. */
  client: HttpClient;
  /** An absolute URL. */
  tokenUrl: string;
  /** For the grant type client_credentials. Some servers accept a secret without an id. */
  credential?: { clientId?: string; clientSecret: string };
  /** How a request with the credential carries it: in the form (the default), or in the `Authorization` header (RFC 6749, section 2.3.1). */
  credentialIn?: 'form' | 'header';
  /** The first token, if it does not have to be requested. */
  token?: string;
  scope: string;
  /** `audience` and `resource`, if set. */
  parameters: Readonly<Record<string, string>>;
  /** Whether an expiring token is exchanged for a new one (RFC 8693); otherwise a new one is requested with the credential. */
  exchange: boolean;
}

interface Token {
  value: string;
  type: string;
  /** When the token is to be renewed and when it expires, as in `Date.now()`. Undefined if that is unknown. */
  renewAt?: number;
  endsAt?: number;
}

const ACCESS_TOKEN = 'urn:ietf:params:oauth:token-type:access_token';
const TOKEN_EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';
const MAX_RESPONSE_BYTES = 1024 * 1024;
/** How long before its expiry a token is renewed, or a tenth of its lifetime if that is less, as in Iceberg's own clients. */
const RENEW_AHEAD_MS = 300_000;
/** How soon a failed renewal is retried while the token is still valid. */
const RETRY_RENEWAL_MS = 10_000;

/**
 * OAuth2 as in Iceberg's clients (`OAuth2Util`): client credentials are sent in the form. An expiring token is exchanged for a new one; the
 * `Authorization` header has the old token or, once that has expired, the credential.
 *
 * If the server refuses the exchange, tokens are requested with the credential from then on. Concurrent calls share one token request.
 */
export class OAuth2 implements Authenticator {
  readonly #options: OAuth2Options;
  #token?: Token;
  #pending?: Promise<Token>;
  #exchanges: boolean;

  constructor(options: OAuth2Options) {
    this.#options = options;
    this.#exchanges = options.exchange;
    if (options.token !== undefined) this.#token = tokenOf(options.token, ACCESS_TOKEN, jwtExpiry(options.token));
  }

  async authenticate(request: OutgoingRequest): Promise<OutgoingRequest> {
    const { value } = await this.#current();
    // At every use, because a token may outlive a thousand vended secrets, after which it would be forgotten.
    rememberIssuedSecret(value);
    return withBearer(request, value);
  }

  async renew(rejected: OutgoingRequest, status: number): Promise<boolean> {
    // The token is valid, but does not suffice.
    if (status === 403) return false;
    // Another call may have renewed the token in the meantime.
    if (this.#token !== undefined && rejected.headers.authorization !== `Bearer ${this.#token.value}`) return true;
    if (this.#options.credential === undefined) return false;
    await this.#once(() => this.#byCredential());
    return true;
  }

  async #current(): Promise<Token> {
    const token = this.#token;
    if (token === undefined) return this.#once(() => this.#byCredential());
    const now = Date.now();
    if (token.renewAt === undefined || now < token.renewAt) return token;
    if (!this.#exchanges && this.#options.credential === undefined) return token;
    try {
      return await this.#once(() => this.#renewToken(token));
    } catch (error) {
      // The old token is valid until it expires.
      if (token.endsAt === undefined || Date.now() >= token.endsAt) throw error;
      token.renewAt = Date.now() + RETRY_RENEWAL_MS;
      return token;
    }
  }

  #once(fetchToken: () => Promise<Token>): Promise<Token> {
    this.#pending ??= fetchToken()
      .then((token) => {
        this.#token = token;
        return token;
      })
      .finally(() => {
        this.#pending = undefined;
      });
    return this.#pending;
  }

  async #renewToken(token: Token): Promise<Token> {
    const { credential } = this.#options;
    if (!this.#exchanges) return this.#byCredential();
    try {
      return await this.#byExchange(token);
    } catch (error) {
      if (credential === undefined || !(error instanceof ResponseError) || error.status >= 500) throw error;
      this.#exchanges = false;
      return this.#byCredential();
    }
  }

  #byCredential(): Promise<Token> {
    const { credential, scope, parameters, tokenUrl } = this.#options;
    if (credential === undefined) {
      throw new CodedError(
        'UNAUTHENTICATED',
        `the connector has no OAuth2 credential with which to request a token from ${tokenUrl}`,
      );
    }
    if (this.#options.credentialIn === 'header') {
      const authorization = basic(credential);
      return this.#fetch({ grant_type: 'client_credentials', scope, ...parameters }, { authorization });
    }
    return this.#fetch({
      grant_type: 'client_credentials',
      ...(credential.clientId !== undefined && { client_id: credential.clientId }),
      client_secret: credential.clientSecret,
      scope,
      ...parameters,
    });
  }

  #byExchange({ value, type, endsAt }: Token): Promise<Token> {
    const { credential, scope, parameters } = this.#options;
    const hasExpired = endsAt !== undefined && endsAt <= Date.now();
    const authorization = hasExpired && credential ? basic(credential) : `Bearer ${value}`;
    return this.#fetch(
      { grant_type: TOKEN_EXCHANGE, scope, subject_token: value, subject_token_type: type, ...parameters },
      { authorization },
    );
  }

  async #fetch(form: Record<string, string>, headers: Record<string, string> = {}): Promise<Token> {
    const { client, tokenUrl } = this.#options;
    const requestedAt = Date.now();
    let fields: JsonFields;
    try {
      const { json } = await client.json({
        url: tokenUrl,
        form: new URLSearchParams(form),
        headers,
        maxBytes: MAX_RESPONSE_BYTES,
        confidential: true,
      });
      fields = new JsonFields(json, '', 'withheld');
      const value = fields.string('access_token');
      // It may be sent where the secret may be sent with which it was requested.
      const { credential, token } = this.#options;
      for (const source of [credential?.clientSecret, token]) rememberIssuedSecret(value, source);
      // RFC 8693 requires this field. RFC 6749 does not have it; its tokens are access tokens.
      const type = fields.optionalString('issued_token_type') ?? ACCESS_TOKEN;
      return tokenOf(value, type, jwtExpiry(value) ?? expiry(requestedAt, fields.raw.expires_in), requestedAt);
    } catch (error) {
      throw tokenError(tokenUrl, error);
    }
  }
}

function basic({ clientId, clientSecret }: { clientId?: string; clientSecret: string }): string {
  const pair = [clientId, clientSecret].filter((part) => part !== undefined).join(':');
  const encoded = Buffer.from(pair).toString('base64');
  rememberConnectorSecret(encoded);
  return `Basic ${encoded}`;
}

/** @param expiresIn seconds; some servers send a text */
function expiry(from: number, expiresIn: unknown): number | undefined {
  const seconds = typeof expiresIn === 'string' || typeof expiresIn === 'number' ? Number(expiresIn) : Number.NaN;
  return seconds > 0 && Number.isFinite(seconds) ? from + seconds * 1000 : undefined;
}

function tokenOf(value: string, type: string, endsAt: number | undefined, from = Date.now()): Token {
  if (endsAt === undefined) return { value, type };
  return { value, type, endsAt, renewAt: endsAt - Math.min(RENEW_AHEAD_MS, Math.max(0, endsAt - from) / 10) };
}

/** The `exp` claim of a token that is a JWT (RFC 7519), in milliseconds. */
function jwtExpiry(token: string): number | undefined {
  const parts = token.split('.');
  if (parts.length !== 3) return undefined;
  try {
    const { exp } = JSON.parse(Buffer.from(parts[1] as string, 'base64url').toString('utf8'));
    return typeof exp === 'number' && Number.isFinite(exp) ? exp * 1000 : undefined;
  } catch {
    return undefined;
  }
}

function tokenError(tokenUrl: string, error: unknown): unknown {
  if (error instanceof MalformedError) {
    return new CodedError(
      'FAILED_PRECONDITION',
      `${tokenUrl} responded, but without an OAuth2 token: ${error.message}`,
      {
        cause: error,
      },
    );
  }
  if (!(error instanceof ResponseError)) return error;
  const { status, reported, retryAfterMs } = error;
  const reason = reported
    ? [reported.type, reported.message].filter(Boolean).join(': ')
    : `it responded with ${status}`;
  const withCode = (code: 'UNAUTHENTICATED' | 'INVALID_ARGUMENT', message: string) =>
    new ResponseError(code, message, status, reported, retryAfterMs);
  if (status === 404 || status === 405) {
    return withCode(
      'INVALID_ARGUMENT',
      `${tokenUrl} does not issue OAuth2 tokens: ${reason}. Set oauth2-server-uri to the URL that does.`,
    );
  }
  if (reported?.type === 'invalid_scope' || reported?.type === 'invalid_target') {
    return withCode(
      'INVALID_ARGUMENT',
      `${tokenUrl} issued no OAuth2 token: ${reason}. Check scope, audience and resource.`,
    );
  }
  if (status === 400 || status === 401 || status === 403) {
    return withCode(
      'UNAUTHENTICATED',
      `${tokenUrl} issued no OAuth2 token: ${reason}. Check the client id and secret.`,
    );
  }
  return error;
}
