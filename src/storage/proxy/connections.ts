import * as http from 'node:http';
import * as https from 'node:https';
import { LruCache } from '../lru-cache.ts';
import { GuardedAgent, GuardedSecureAgent } from './guarded-agents.ts';
import type { ForwardProxy } from './proxy.ts';
import { serverName, TunnelAgent } from './tunnel-agent.ts';

/** Proxies whose connections are kept. */
const MAX_PROXIES = 64;

/**
 * Kept-alive connections to servers, directly and through proxies, at addresses that the worker's policy allows. Idle ones do not keep the process
 * alive; Node's agents unref them.
 */
export class Connections {
  /** For direct requests. */
  readonly plain: http.Agent;
  readonly secure: https.Agent;
  readonly #options: http.AgentOptions;
  readonly #toWorkersProxy: http.Agent;
  readonly #toConnectorsProxy: http.Agent;
  /** By proxy and purpose. */
  readonly #toProxies = new LruCache<string, https.Agent>(2 * MAX_PROXIES);

  /**
   * @param maxSockets connections to one host at a time
   * @param options.isWorkersOwn the requests are those by which the worker gets its own identity: their addresses, such as a metadata service, are
   *   chosen by whoever starts it, and all are allowed
   */
  constructor(maxSockets: number, { isWorkersOwn = false } = {}) {
    this.#options = { keepAlive: true, maxSockets };
    this.#toWorkersProxy = new http.Agent(this.#options);
    this.#toConnectorsProxy = new GuardedAgent(this.#options);
    this.plain = isWorkersOwn ? new http.Agent(this.#options) : this.#toConnectorsProxy;
    this.secure = isWorkersOwn ? new https.Agent(this.#options) : new GuardedSecureAgent(this.#options);
  }

  /** For HTTP requests that the proxy forwards. */
  plainTo(proxy: ForwardProxy): http.Agent {
    return proxy.isWorkers ? this.#toWorkersProxy : this.#toConnectorsProxy;
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
          : new (proxy.isWorkers ? https.Agent : GuardedSecureAgent)({
              ...this.#options,
              servername: serverName(proxy),
            });
      this.#toProxies.set(key, agent);
    }
    return agent;
  }

  /** How a request is sent, through the proxy if there is one. */
  routed(request: Route, proxy: ForwardProxy | undefined): Route & { agent: http.Agent } {
    if (proxy === undefined) return { ...request, agent: request.secure ? this.secure : this.plain };
    if (request.secure) return { ...request, agent: this.secureOf(proxy, 'tunnel') };
    const route = forwarded(request, proxy);
    return { ...route, agent: route.secure ? this.secureOf(proxy, 'forward') : this.plainTo(proxy) };
  }

  destroy(): void {
    for (const agent of [
      this.plain,
      this.secure,
      this.#toWorkersProxy,
      this.#toConnectorsProxy,
      ...this.#toProxies.values(),
    ])
      agent.destroy();
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
