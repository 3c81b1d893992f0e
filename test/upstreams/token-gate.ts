import { type Exchange, type Rule, refuse } from './fault-proxy.ts';

/**
 * Authentication in front of a catalog: issues tokens for the right client credentials at the catalog's own token endpoint, and forwards only
 * requests with a valid token.
 */
export class TokenGate {
  /** All tokens issued, oldest first. */
  readonly issued: string[] = [];
  readonly #client: { id: string; secret: string };
  readonly #good = new Set<string>();
  #usesOfFirst: number;

  /** @param usesOfFirst number of requests after which the first token becomes invalid */
  constructor(client: { id: string; secret: string }, usesOfFirst = Number.POSITIVE_INFINITY) {
    this.#client = client;
    this.#usesOfFirst = usesOfFirst;
  }

  /** Rules that must come before all others. */
  get rules(): Rule[] {
    return [
      { method: 'POST', path: /^\/v1\/oauth\/tokens$/, fault: (exchange) => this.#give(exchange) },
      {
        path: /^/,
        fault: refuse(401, 'NotAuthorizedException'),
        takes: ({ headers }) => !this.#admits(headers.authorization),
      },
    ];
  }

  #give({ body, response }: Exchange): void {
    const form = new URLSearchParams(body.toString('utf8'));
    const right =
      form.get('grant_type') === 'client_credentials' &&
      form.get('client_id') === this.#client.id &&
      form.get('client_secret') === this.#client.secret;
    response.writeHead(right ? 200 : 401, { 'content-type': 'application/json' });
    if (!right) return void response.end(JSON.stringify({ error: 'invalid_client' }));
    const token = `token-${this.issued.length}-${Math.random().toString(36).slice(2)}`;
    this.issued.push(token);
    this.#good.add(token);
    response.end(JSON.stringify({ access_token: token, token_type: 'bearer', expires_in: 3600 }));
  }

  #admits(authorization: string | undefined): boolean {
    const token = authorization?.replace(/^Bearer /, '') ?? '';
    if (token === this.issued[0] && --this.#usesOfFirst < 0) this.#good.delete(token);
    return this.#good.has(token);
  }
}
