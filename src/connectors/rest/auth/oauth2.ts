import { CodedError } from '../../../errors.ts';
import { JsonFields } from '../../../formats/json/json-fields.ts';
import { MalformedError } from '../../../formats/malformed.ts';
import { rememberOwnSecret, rememberSecret } from '../../../secrets.ts';
import { AnswerError } from '../answer-error.ts';
import type { HttpClient } from '../http-client.ts';
import { type Authenticator, type Outgoing, withBearer } from './authenticator.ts';

export interface OAuth2Options {
  /** Sends the requests for tokens; adds no credentials of its own. */
  client: HttpClient;
  /** Absolute. */
  tokenUrl: string;
  /** For tokens by client credentials. Some servers take a secret alone. */
  credential?: { clientId?: string; clientSecret: string };
  /** To begin with, instead of asking for one. */
  token?: string;
  scope: string;
  /** `audience` and `resource`, where given. */
  parameters: Readonly<Record<string, string>>;
  /** A token that runs out is exchanged for a new one (RFC 8693); else a new one is asked for by the credential. */
  exchange: boolean;
}

interface Token {
  value: string;
  type: string;
  /** When it is to be renewed and when it ends; by `Date.now()`. Undefined: nobody knows. */
  renewAt?: number;
  endsAt?: number;
}

const ACCESS_TOKEN = 'urn:ietf:params:oauth:token-type:access_token';
const TOKEN_EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';
const MAX_ANSWER_BYTES = 1024 * 1024;
/** A token is renewed so long before it ends, or a tenth of its life if that is less: what Iceberg's own clients do. */
const RENEW_AHEAD_MS = 300_000;
/** After an attempt to renew it that failed while it is still good. */
const RETRY_RENEWAL_MS = 10_000;

/**
 * OAuth2 as Iceberg's clients do it (`OAuth2Util`): client credentials in the form, exchange of a token that runs out for a new one
 * with the old one in `Authorization`, or with the credential there once the token has ended.
 *
 * Where the server refuses the exchange, a token is asked for by the credential, then and from then on. One request for a token is
 * under way at a time, whoever waits for it.
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

  async authenticate(request: Outgoing): Promise<Outgoing> {
    const { value } = await this.#current();
    // At every use: a token lives for longer than a thousand vended secrets.
    rememberSecret(value);
    return withBearer(request, value);
  }

  async renew(rejected: Outgoing): Promise<boolean> {
    // Another call may have renewed it meanwhile.
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
      return await this.#once(() => this.#renewed(token));
    } catch (error) {
      // Ahead of its end the old one is still good.
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

  async #renewed(token: Token): Promise<Token> {
    const { credential } = this.#options;
    if (!this.#exchanges) return this.#byCredential();
    try {
      return await this.#byExchange(token);
    } catch (error) {
      if (credential === undefined || !(error instanceof AnswerError) || error.status >= 500) throw error;
      this.#exchanges = false;
      return this.#byCredential();
    }
  }

  #byCredential(): Promise<Token> {
    const { credential, scope, parameters, tokenUrl } = this.#options;
    if (credential === undefined) {
      throw new CodedError('UNAUTHENTICATED', `there is no OAuth2 credential to get a token from ${tokenUrl} with`);
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
    const ended = endsAt !== undefined && endsAt <= Date.now();
    const pair = [credential?.clientId, credential?.clientSecret].filter((part) => part !== undefined).join(':');
    const authorization = ended && credential ? `Basic ${Buffer.from(pair).toString('base64')}` : `Bearer ${value}`;
    if (ended && credential) rememberOwnSecret(authorization.slice('Basic '.length));
    return this.#fetch(
      { grant_type: TOKEN_EXCHANGE, scope, subject_token: value, subject_token_type: type, ...parameters },
      { authorization },
    );
  }

  async #fetch(form: Record<string, string>, headers: Record<string, string> = {}): Promise<Token> {
    const { client, tokenUrl } = this.#options;
    const asked = Date.now();
    let fields: JsonFields;
    try {
      const { json } = await client.json({
        url: tokenUrl,
        form: new URLSearchParams(form),
        headers,
        maxBytes: MAX_ANSWER_BYTES,
        confidential: true,
      });
      fields = new JsonFields(json, '', 'withheld');
      const value = fields.string('access_token');
      // Required by RFC 8693, unknown to RFC 6749: then it is an access token.
      const type = fields.optionalString('issued_token_type') ?? ACCESS_TOKEN;
      return tokenOf(value, type, jwtExpiry(value) ?? expiry(asked, fields.optionalInteger('expires_in')), asked);
    } catch (error) {
      throw tokenError(tokenUrl, error);
    }
  }
}

function expiry(from: number, seconds: number | undefined): number | undefined {
  return seconds === undefined || seconds <= 0 ? undefined : from + seconds * 1000;
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
    return new CodedError('FAILED_PRECONDITION', `${tokenUrl} answered, but with no OAuth2 token: ${error.message}`, {
      cause: error,
    });
  }
  if (!(error instanceof AnswerError)) return error;
  const { status, reported, retryAfterMs } = error;
  const says = reported ? [reported.type, reported.message].filter(Boolean).join(': ') : `it answered ${status}`;
  const because = (code: 'UNAUTHENTICATED' | 'INVALID_ARGUMENT', message: string) =>
    new AnswerError(code, message, status, reported, retryAfterMs);
  if (status === 404 || status === 405) {
    return because(
      'INVALID_ARGUMENT',
      `${tokenUrl} gives no OAuth2 tokens: ${says}. Set oauth2-server-uri to what does.`,
    );
  }
  if (reported?.type === 'invalid_scope' || reported?.type === 'invalid_target') {
    return because(
      'INVALID_ARGUMENT',
      `${tokenUrl} gave no OAuth2 token: ${says}. Check scope, audience and resource.`,
    );
  }
  if (status === 400 || status === 401 || status === 403) {
    return because('UNAUTHENTICATED', `${tokenUrl} gave no OAuth2 token: ${says}. Check the client id and secret.`);
  }
  return error;
}
