import { rename, writeFile } from 'node:fs/promises';
import { CodedError } from '../../../errors.ts';
import { JsonFields } from '../../../formats/json/json-fields.ts';
import { MalformedError } from '../../../formats/malformed.ts';
import { type Grant, governSecret } from '../../../policy/secret-grants.ts';
import { rememberIssuedSecret } from '../../../secrets.ts';
import { type Authenticator, type OutgoingRequest, withBearer } from '../../rest/auth/authenticator.ts';
import type { HttpClient } from '../../rest/http-client.ts';
import { ResponseError } from '../../rest/response-error.ts';
import { homePath, readSmallFile } from './databricks-profile.ts';

export interface CliTokenOptions {
  /** Sends the token requests without adding credentials. */
  client: HttpClient;
  /** The URL of the workspace. */
  host: string;
  tokenUrl: string;
  /** The profile that the user logged in with. Newer versions of the CLI keep tokens under its name. */
  profile?: string;
  /** Where the worker's policy allows its tokens to be sent. */
  grant?: Grant;
}

interface CachedToken {
  value: string;
  refreshToken?: string;
  /** As in `Date.now()`. */
  endsAt: number;
}

/** The client that the Databricks CLI is registered as. */
const CLIENT_ID = 'databricks-cli';
const SCOPE = 'all-apis offline_access';
const MAX_RESPONSE_BYTES = 1024 * 1024;
/** Ends when no token is written to the cache any more: connectors of several workspaces replace the same file. */
let writing: Promise<void> = Promise.resolve();
/** How long before its expiry a token is renewed. */
const RENEW_AHEAD_MS = 60_000;

/**
 * Authenticates with the token that `databricks auth login` left in `~/.databricks/token-cache.json` of the worker's user. An expiring one is
 * exchanged for a new one by its refresh token. Databricks may accept a refresh token only once, so what it returns is written back for the CLI and for
 * other workers. `DATABRICKS_TOKEN` of the worker takes precedence.
 */
export class CliToken implements Authenticator {
  readonly #options: CliTokenOptions;
  #token?: CachedToken;
  #pending?: Promise<CachedToken>;

  constructor(options: CliTokenOptions) {
    this.#options = options;
  }

  async authenticate(request: OutgoingRequest): Promise<OutgoingRequest> {
    const value = process.env.DATABRICKS_TOKEN?.trim() || (await this.#current()).value;
    this.#remember(value);
    return withBearer(request, value);
  }

  async renew(rejected: OutgoingRequest, status: number): Promise<boolean> {
    if (status === 403 || process.env.DATABRICKS_TOKEN?.trim()) return false;
    if (this.#token !== undefined && rejected.headers.authorization !== `Bearer ${this.#token.value}`) return true;
    this.#token = undefined;
    const token = await this.#current(rejected.headers.authorization);
    return rejected.headers.authorization !== `Bearer ${token.value}`;
  }

  #current(rejected?: string): Promise<CachedToken> {
    if (this.#token !== undefined && !expires(this.#token)) return Promise.resolve(this.#token);
    this.#pending ??= this.#load(rejected)
      .then((token) => {
        this.#token = token;
        return token;
      })
      .finally(() => {
        this.#pending = undefined;
      });
    return this.#pending;
  }

  /** The cache is read first: the CLI or another worker may have renewed the token. */
  async #load(rejected: string | undefined): Promise<CachedToken> {
    const cached = await this.#read();
    this.#remember(cached.value);
    if (cached.refreshToken) this.#remember(cached.refreshToken);
    if (!expires(cached) && rejected !== `Bearer ${cached.value}`) return cached;
    if (cached.refreshToken === undefined) throw this.#loginNeeded('it has expired, and has no refresh token');
    try {
      return await this.#refresh(cached.refreshToken);
    } catch (error) {
      // Another process may have used the refresh token at the same time.
      const again = await this.#read();
      if (again.value !== cached.value && !expires(again)) return again;
      if (!(error instanceof ResponseError) || error.status >= 500 || error.status === 429) throw error;
      throw this.#loginNeeded(`it cannot be renewed: ${error.message}`);
    }
  }

  async #read(): Promise<CachedToken> {
    const path = cachePath();
    const text = await readSmallFile(path).catch((error: NodeJS.ErrnoException) => {
      throw this.#loginNeeded(`${path} cannot be read (${error.code ?? error.message}) by the worker`);
    });
    const found = this.#entry(parsed(text, path));
    if (found === undefined) throw this.#loginNeeded(`${path} has none`);
    const { access_token: value, refresh_token: refreshToken, expiry } = found.entry;
    if (typeof value !== 'string' || value === '') throw this.#loginNeeded(`${path} has none`);
    // A token without a valid time counts as expired.
    const endsAt = typeof expiry === 'string' ? Date.parse(expiry) : Number.NaN;
    return {
      value,
      ...(typeof refreshToken === 'string' && refreshToken !== '' && { refreshToken }),
      endsAt: Number.isNaN(endsAt) ? 0 : endsAt,
    };
  }

  /** The cache's entry for the workspace: by its profile, or by its host with or without a slash. */
  #entry({ tokens = {} }: TokenCache): { key: string; entry: Record<string, unknown> } | undefined {
    const { profile, host } = this.#options;
    const keys = [...(profile ? [profile] : []), host, `${host}/`];
    const key = keys.find((key) => Object.hasOwn(tokens, key) && typeof tokens[key] === 'object' && tokens[key]);
    return key === undefined ? undefined : { key, entry: tokens[key] as Record<string, unknown> };
  }

  async #refresh(refreshToken: string): Promise<CachedToken> {
    const { client, tokenUrl } = this.#options;
    const requestedAt = Date.now();
    const form = { grant_type: 'refresh_token', client_id: CLIENT_ID, refresh_token: refreshToken, scope: SCOPE };
    const { json } = await client.json({
      url: tokenUrl,
      form: new URLSearchParams(form),
      maxBytes: MAX_RESPONSE_BYTES,
      confidential: true,
    });
    let token: CachedToken;
    try {
      const fields = new JsonFields(json, '', 'withheld');
      token = {
        value: fields.string('access_token'),
        refreshToken: fields.optionalString('refresh_token') ?? refreshToken,
        endsAt: requestedAt + (fields.optionalInteger('expires_in') ?? 3600) * 1000,
      };
    } catch (error) {
      if (!(error instanceof MalformedError)) throw error;
      throw new CodedError('FAILED_PRECONDITION', `${tokenUrl} responded, but without a token: ${error.message}`);
    }
    for (const secret of [token.value, token.refreshToken]) if (secret) this.#remember(secret);
    // Without it, only this connector has the new token.
    writing = writing.then(() => this.#write(token)).catch(() => {});
    await writing;
    return token;
  }

  /** Replaces the entry in the cache as it is now. Readers never see half of a file. */
  async #write({ value, refreshToken, endsAt }: CachedToken): Promise<void> {
    const path = cachePath();
    const cache = parsed(await readSmallFile(path), path);
    const found = this.#entry(cache);
    if (found === undefined) return;
    Object.assign(found.entry, {
      access_token: value,
      refresh_token: refreshToken,
      expiry: new Date(endsAt).toISOString(),
    });
    const temporary = `${path}.${process.pid}.tmp`;
    await writeFile(temporary, `${JSON.stringify(cache, undefined, 2)}\n`, { mode: 0o600 });
    await rename(temporary, path);
  }

  #remember(secret: string): void {
    if (this.#options.grant !== undefined) governSecret(secret, this.#options.grant);
    rememberIssuedSecret(secret);
  }

  #loginNeeded(problem: string): CodedError {
    const { host, profile } = this.#options;
    const command = `databricks auth login --host ${host}${profile ? ` --profile ${profile}` : ''}`;
    return new CodedError(
      'UNAUTHENTICATED',
      `there is no valid token of the Databricks CLI for ${host}: ${problem}. Run ${command} as the worker's user.`,
    );
  }
}

interface TokenCache {
  tokens?: Record<string, unknown>;
}

const cachePath = () => homePath('.databricks', 'token-cache.json');
const expires = ({ endsAt }: CachedToken) => Date.now() >= endsAt - RENEW_AHEAD_MS;

function parsed(text: string, path: string): TokenCache {
  try {
    const cache = JSON.parse(text) as TokenCache | null;
    if (cache !== null && typeof cache === 'object' && typeof (cache.tokens ?? {}) === 'object') return cache;
  } catch {
    // Its text would show tokens.
  }
  throw new CodedError('FAILED_PRECONDITION', `${path} is not a token cache of the Databricks CLI`);
}
