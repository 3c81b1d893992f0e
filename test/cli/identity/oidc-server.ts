import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import Provider from 'oidc-provider';

const CLIENT = 'reconciler';

/** A real OpenID provider with log-in by code. Access tokens for an audience are JWTs. */
export class OidcServer implements AsyncDisposable {
  readonly issuer: string;
  readonly clientId = CLIENT;
  /** Seconds until access tokens expire. */
  tokenSeconds = 3600;
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
    this.issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    server.on('request', this.#provider().callback());
  }

  static async start(): Promise<OidcServer> {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new OidcServer(server);
  }

  #provider(): Provider {
    const grant = 'urn:ietf:params:oauth:grant-type:device_code';
    return new Provider(this.issuer, {
      clients: [
        {
          client_id: CLIENT,
          token_endpoint_auth_method: 'none',
          application_type: 'native',
          grant_types: [grant, 'refresh_token'],
          redirect_uris: [],
          response_types: [],
        },
      ],
      features: {
        deviceFlow: { enabled: true },
        resourceIndicators: {
          enabled: true,
          useGrantedResource: () => true,
          getResourceServerInfo: (_context, audience) => ({
            scope: '',
            audience,
            accessTokenFormat: 'jwt',
            accessTokenTTL: this.tokenSeconds,
            jwt: { sign: { alg: 'RS256' } },
          }),
        },
      },
      extraTokenClaims: () => ({ roles: ['data-admins'], tenant: 'default' }),
      issueRefreshToken: () => true,
      cookies: { keys: ['a key of this test'] },
    });
  }

  /** Does what a person does in a browser: opens the page with the code, logs in and consents. @returns the last page */
  async confirm(url: string): Promise<string> {
    const cookies = new Map<string, string>();
    let [at, body] = [url, undefined as URLSearchParams | undefined];
    for (let step = 0; step < 20; step++) {
      const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ');
      const response = await fetch(at, {
        method: body ? 'POST' : 'GET',
        body,
        headers: { cookie },
        redirect: 'manual',
      });
      for (const line of response.headers.getSetCookie()) {
        const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? [];
        cookies.set(name, value);
      }
      body = undefined;
      const location = response.headers.get('location');
      const page = await response.text();
      const [, action] = /<form[^>]* action="([^"]+)"/.exec(page) ?? [];
      if (location !== null) at = new URL(location, at).href;
      else if (action === undefined) return page;
      else {
        at = new URL(action, at).href;
        body = fieldsOf(page);
      }
    }
    throw new Error('the pages of the provider do not end');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
  }
}

/** The fields of the form on a page, filled in. */
function fieldsOf(page: string): URLSearchParams {
  const fields = new URLSearchParams({ login: 'ada', password: 'any' });
  for (const [input] of page.matchAll(/<input[^>]*type="hidden"[^>]*>/g)) {
    const [name, value] = ['name', 'value'].map((key) => new RegExp(` ${key}="([^"]*)"`).exec(input)?.[1] ?? '');
    fields.set(name as string, value as string);
  }
  return fields;
}
