import * as http from 'node:http';
import * as https from 'node:https';
import { LruCache } from '../lru-cache.ts';
import type { ForwardProxy } from './proxy.ts';
import { serverName, TunnelAgent } from './tunnel-agent.ts';

/** Proxies whose connections are kept. */
const MAX_PROXIES = 64;

/** Kept-alive connections to servers, directly and through proxies. Idle ones do not keep the process alive; Node's agents unref them. */
export class Connections {
  /** For direct requests, and for those that a proxy forwards. */
  readonly plain: http.Agent;
  readonly secure: https.Agent;
  readonly #options: http.AgentOptions;
  /** By proxy and purpose. */
  readonly #toProxies = new LruCache<string, https.Agent>(2 * MAX_PROXIES);

  /** @param maxSockets connections to one host at a time */
  constructor(maxSockets: number) {
    this.#options = { keepAlive: true, maxSockets };
    this.plain = new http.Agent(this.#options);
    this.secure = new https.Agent(this.#options);
  }

  /**
   * Connections with TLS: through the proxy to servers, for HTTPS requests, or to the proxy itself if that speaks TLS and forwards HTTP requests.
   */
  secureOf(proxy: ForwardProxy, purpose: 'tunnel' | 'forward'): https.Agent {
    const key = JSON.stringify([proxy, purpose]);
    let agent = this.#toProxies.get(key);
    if (agent === undefined) {
      agent =
        purpose === 'tunnel'
          ? new TunnelAgent(proxy, this.#options)
          : new https.Agent({ ...this.#options, servername: serverName(proxy) });
      this.#toProxies.set(key, agent);
    }
    return agent;
  }

  /** How a request is sent, through the proxy if there is one. */
  routed(request: Route, proxy: ForwardProxy | undefined): Route & { agent: http.Agent } {
    if (proxy === undefined) return { ...request, agent: request.secure ? this.secure : this.plain };
    if (request.secure) return { ...request, agent: this.secureOf(proxy, 'tunnel') };
    const route = forwarded(request, proxy);
    return { ...route, agent: route.secure ? this.secureOf(proxy, 'forward') : this.plain };
  }

  destroy(): void {
    for (const agent of [this.plain, this.secure, ...this.#toProxies.values()]) agent.destroy();
  }
}

/** Where a request is sent, and the parts of it that this changes. */
export interface Route {
  secure: boolean;
  host: string;
  port: string;
  /** With the server's address in front if the request is for a proxy to forward (RFC 9112, section 3.2.2). */
  path: string;
  headers: Readonly<Record<string, string>>;
}

/**
 * The request for a proxy to forward, made of an HTTP request. HTTPS requests are not changed: they need a tunnel.
 *
 * @param request `host` is without the brackets of an IPv6 address, `port` is empty for the default
 */
export function forwarded(request: Route, proxy: ForwardProxy): Route {
  const { host, port, path, headers } = request;
  const authority = `${host.includes(':') ? `[${host}]` : host}${port === '' || port === '80' ? '' : `:${port}`}`;
  const { protocol, hostname, port: proxyPort } = new URL(proxy.origin);
  const { authorization } = proxy;
  return {
    secure: protocol === 'https:',
    host: hostname.replace(/^\[|\]$/g, ''),
    port: proxyPort,
    path: `http://${authority}${path}`,
    headers: {
      host: authority,
      ...headers,
      ...(authorization !== undefined && { 'proxy-authorization': authorization }),
    },
  };
}
