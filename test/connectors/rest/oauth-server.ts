import { randomBytes } from 'node:crypto';
import { type FakeServer, type ReceivedRequest, respondWithJson, startFakeServer } from './fake-server.ts';

export interface OAuthServer extends FakeServer {
  /** Requested grant types and the statuses of the responses, oldest first. */
  readonly grants: { grant: string; status: number }[];
  /** What is wrong with a request's bearer token; undefined if it is valid. */
  fault(headers: ReceivedRequest['headers']): string | undefined;
  /** Invalidates all tokens issued so far. */
  revoke(): void;
}

export interface OAuthRules {
  clientId?: string;
  clientSecret: string;
  scope: string;
  /** Further parameters that the form must have, with their values. */
  parameters?: Record<string, string>;
  /** Lifetime of tokens. */
  seconds: number;
  /** Whether tokens can be exchanged (RFC 8693). */
  exchange: boolean;
}

const EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';
const ACCESS_TOKEN = 'urn:ietf:params:oauth:token-type:access_token';

/**
 * Starts an OAuth2 token server that verifies requests (RFC 6749, section 4.4; RFC 8693). Clients authenticate in the form or, for an
 * exchange, in `Authorization` as Iceberg's clients do.
 */
export async function oauthServer(rules: OAuthRules): Promise<OAuthServer> {
  const tokens = new Map<string, number>();
  const grants: OAuthServer['grants'] = [];
  const live = (token: string | null) => (tokens.get(token ?? '') ?? 0) > Date.now();

  const faultIn = ({ headers, method, path, body }: ReceivedRequest): [number, string] | undefined => {
    if (method !== 'POST' || path !== '/tokens') return [404, 'invalid_request'];
    if (headers['content-type'] !== 'application/x-www-form-urlencoded') return [400, 'invalid_request'];
    const form = new URLSearchParams(body);
    for (const name of form.keys()) if (form.getAll(name).length !== 1) return [400, 'invalid_request'];
    for (const [name, value] of Object.entries(rules.parameters ?? {}))
      if (form.get(name) !== value) return [400, 'invalid_target'];
    if (form.get('scope') !== rules.scope) return [400, 'invalid_scope'];
    const grant = form.get('grant_type');
    if (grant === 'client_credentials') {
      const isValid =
        form.get('client_secret') === rules.clientSecret && form.get('client_id') === (rules.clientId ?? null);
      return isValid ? undefined : [401, 'invalid_client'];
    }
    if (grant !== EXCHANGE || !rules.exchange) return [400, 'unsupported_grant_type'];
    if (form.get('subject_token_type') !== ACCESS_TOKEN || !tokens.has(form.get('subject_token') ?? ''))
      return [400, 'invalid_request'];
    const basic = `Basic ${Buffer.from(`${rules.clientId}:${rules.clientSecret}`).toString('base64')}`;
    const bearer = headers.authorization?.replace(/^Bearer /, '') ?? null;
    return headers.authorization === basic || live(bearer) ? undefined : [401, 'invalid_client'];
  };

  const server = await startFakeServer((request, response) => {
    const grant = new URLSearchParams(request.body).get('grant_type') ?? '';
    const fault = faultIn(request);
    grants.push({ grant: grant === EXCHANGE ? 'exchange' : grant, status: fault?.[0] ?? 200 });
    if (fault)
      return respondWithJson(response, { error: fault[1], error_description: "from the test's server" }, fault[0]);
    const token = randomBytes(20).toString('hex');
    tokens.set(token, Date.now() + rules.seconds * 1000);
    respondWithJson(response, {
      access_token: token,
      token_type: 'bearer',
      // Some servers send a text.
      expires_in: grants.length % 2 === 0 ? String(rules.seconds) : rules.seconds,
      ...(grant === EXCHANGE && { issued_token_type: ACCESS_TOKEN }),
    });
  });
  return {
    ...server,
    grants,
    fault({ authorization }) {
      const [, token] = /^Bearer (\S+)$/.exec(authorization ?? '') ?? [];
      if (token === undefined) return 'there is no bearer token';
      return live(token) ? undefined : 'the token is unknown or too old';
    },
    revoke: () => {
      for (const token of tokens.keys()) tokens.set(token, 0);
    },
  };
}
