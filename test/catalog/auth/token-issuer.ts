import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { exportJWK, generateKeyPair, type JWTPayload, SignJWT } from 'jose';
import type { Issuer } from '../../../src/catalog/auth/oidc/issuers-file.ts';

type KeyPair = Awaited<ReturnType<typeof generateKeyPair>>;

/** An OpenID provider that publishes keys and signs whatever a test asks for, as a real one does not. */
export class TokenIssuer implements AsyncDisposable {
  readonly keys = new Map<string, KeyPair>();
  /** Paths that were requested. */
  readonly requests: string[] = [];
  /** Answers with an error instead. */
  down = false;
  readonly #server = createServer((request, response) => {
    this.requests.push(request.url ?? '');
    void this.#answer(request.url ?? '').then(({ status, body }) => {
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
    });
  });

  static async start(): Promise<TokenIssuer> {
    const issuer = new TokenIssuer();
    await new Promise<void>((resolve) => issuer.#server.listen(0, '127.0.0.1', resolve));
    await issuer.addKey('first');
    return issuer;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** What an administrator writes about it. */
  config(fields: Partial<Issuer> = {}): Issuer {
    return {
      issuer: this.url,
      audience: 'reconciler',
      algorithms: ['RS256', 'ES256'],
      tenantClaim: 'tenants',
      rolesClaim: 'realm_access.roles',
      roleMap: { readers: 'reader', admins: 'admin', platforms: 'platform' },
      ...fields,
    };
  }

  async addKey(kid: string): Promise<void> {
    this.keys.set(kid, await generateKeyPair('ES256', { extractable: true }));
  }

  /** A valid token, unless the claims make it something else. */
  async sign(claims: JWTPayload = {}, kid = 'first', key = this.keys.get(kid)?.privateKey): Promise<string> {
    const defaults = { tenants: ['acme'], realm_access: { roles: ['readers', 'others'] } };
    const jwt = new SignJWT({ iss: this.url, aud: 'reconciler', sub: 'alice', ...defaults, ...claims });
    if (!('exp' in claims)) jwt.setExpirationTime('5 minutes');
    return jwt.setProtectedHeader({ alg: 'ES256', kid }).sign(key!);
  }

  async #answer(path: string): Promise<{ status: number; body: unknown }> {
    if (this.down) return { status: 503, body: {} };
    if (path === '/.well-known/openid-configuration') {
      return { status: 200, body: { issuer: this.url, jwks_uri: `${this.url}/jwks` } };
    }
    const published = [...this.keys].map(async ([kid, { publicKey }]) => ({ ...(await exportJWK(publicKey)), kid }));
    return path === '/jwks' ? { status: 200, body: { keys: await Promise.all(published) } } : { status: 404, body: {} };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
