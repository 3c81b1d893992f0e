import { randomBytes } from 'node:crypto';
import { type AnsweringServer, type Asked, answeringServer, answerJson } from './answering-server.ts';

export interface OAuthServer extends AnsweringServer {
  /** Grant types that were asked for, oldest first, and what was answered. */
  readonly grants: { grant: string; status: number }[];
  /** What is wrong with a request's bearer token; undefined if it is good. */
  fault(headers: Asked['headers']): string | undefined;
  /** Tokens given so far are good no more. */
  revoke(): void;
}

export interface OAuthRules {
  clientId?: string;
  clientSecret: string;
  scope: string;
  /** Others that the form must have, with these values. */
  parameters?: Record<string, string>;
  /** Of tokens. */
  seconds: number;
  /** Tokens can be exchanged (RFC 8693). */
  exchange: boolean;
}

const EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';
const ACCESS_TOKEN = 'urn:ietf:params:oauth:token-type:access_token';

/**
 * An OAuth2 token server that verifies (RFC 6749, section 4.4; RFC 8693; client authentication in the form, or for an exchange
 * in `Authorization` as Iceberg's clients have it), and the tokens that it gave.
 */
export async function oauthServer(rules: OAuthRules): Promise<OAuthServer> {
  const tokens = new Map<string, number>();
  const grants: OAuthServer['grants'] = [];
  const live = (token: string | null) => (tokens.get(token ?? '') ?? 0) > Date.now();

  const refused = ({ headers, method, path, body }: Asked): [number, string] | undefined => {
    if (method !== 'POST' || path !== '/tokens') return [404, 'invalid_request'];
    if (headers['content-type'] !== 'application/x-www-form-urlencoded') return [400, 'invalid_request'];
    const form = new URLSearchParams(body);
    for (const name of form.keys()) if (form.getAll(name).length !== 1) return [400, 'invalid_request'];
    for (const [name, value] of Object.entries(rules.parameters ?? {}))
      if (form.get(name) !== value) return [400, 'invalid_target'];
    if (form.get('scope') !== rules.scope) return [400, 'invalid_scope'];
    const grant = form.get('grant_type');
    if (grant === 'client_credentials') {
      const right =
        form.get('client_secret') === rules.clientSecret && form.get('client_id') === (rules.clientId ?? null);
      return right ? undefined : [401, 'invalid_client'];
    }
    if (grant !== EXCHANGE || !rules.exchange) return [400, 'unsupported_grant_type'];
    if (form.get('subject_token_type') !== ACCESS_TOKEN || !tokens.has(form.get('subject_token') ?? ''))
      return [400, 'invalid_request'];
    const basic = `Basic ${Buffer.from(`${rules.clientId}:${rules.clientSecret}`).toString('base64')}`;
    const bearer = headers.authorization?.replace(/^Bearer /, '') ?? null;
    return headers.authorization === basic || live(bearer) ? undefined : [401, 'invalid_client'];
  };

  const server = await answeringServer((asked, response) => {
    const grant = new URLSearchParams(asked.body).get('grant_type') ?? '';
    const wrong = refused(asked);
    grants.push({ grant: grant === EXCHANGE ? 'exchange' : grant, status: wrong?.[0] ?? 200 });
    if (wrong) return answerJson(response, { error: wrong[1], error_description: `said the test's server` }, wrong[0]);
    const token = randomBytes(20).toString('hex');
    tokens.set(token, Date.now() + rules.seconds * 1000);
    answerJson(response, {
      access_token: token,
      token_type: 'bearer',
      expires_in: rules.seconds,
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
