import { HttpRequest } from '@smithy/core/protocols';
import { NodeHttpHandler } from '@smithy/node-http-handler';
import { type Connections, forwarded } from '../proxy/connections.ts';
import { type ForwardProxy, proxyFor } from '../proxy/proxy.ts';
import { ProxyError } from '../proxy/proxy-error.ts';

type Handle = NodeHttpHandler['handle'];
type Timeouts = Readonly<{ connectionTimeout: number; socketTimeout: number }>;

/** Sends the requests of AWS clients directly or through a proxy, over shared connections. */
export class ProxiedSender {
  readonly #connections: Connections;
  readonly #proxy?: ForwardProxy;
  readonly #timeouts: Timeouts;
  readonly #direct: NodeHttpHandler;
  /** By proxy and purpose: the connector's own proxy, or those of the environment. */
  readonly #proxied = new Map<string, NodeHttpHandler>();

  /** @param proxy the connector's own proxy. Without it, this process's settings apply */
  constructor(connections: Connections, proxy: ForwardProxy | undefined, timeouts: Timeouts) {
    this.#connections = connections;
    this.#proxy = proxy;
    this.#timeouts = timeouts;
    const { plain: httpAgent, secure: httpsAgent } = connections;
    this.#direct = new NodeHttpHandler({ httpAgent, httpsAgent, ...timeouts });
  }

  async send(request: Parameters<Handle>[0], options: Parameters<Handle>[1]): ReturnType<Handle> {
    const { protocol, hostname, port, path, query, headers } = request;
    const proxy = proxyFor(new URL(`${protocol}//${hostname}${port === undefined ? '' : `:${port}`}`), this.#proxy);
    if (proxy === undefined) return this.#direct.handle(request, options);
    if (protocol === 'https:') return this.#handlerOf(proxy, 'tunnel').handle(request, options);
    const route = { secure: false, host: hostname.replace(/^\[|\]$/g, ''), port: String(port ?? ''), path, headers };
    const to = forwarded(route, proxy);
    const forward = new HttpRequest({
      method: request.method,
      protocol: to.secure ? 'https:' : 'http:',
      hostname: to.host,
      ...(to.port !== '' && { port: Number(to.port) }),
      query,
      headers: { ...to.headers },
      body: request.body,
    });
    // The constructor would put a slash in front of it.
    forward.path = to.path;
    return this.#handlerOf(proxy, 'forward')
      .handle(forward, options)
      .catch((error) => {
        throw ProxyError.ofForwarded(proxy, error);
      });
  }

  #handlerOf(proxy: ForwardProxy, purpose: 'tunnel' | 'forward'): NodeHttpHandler {
    const key = JSON.stringify([proxy, purpose]);
    let handler = this.#proxied.get(key);
    if (handler === undefined) {
      const { plain: httpAgent } = this.#connections;
      const httpsAgent = this.#connections.secureOf(proxy, purpose);
      handler = new NodeHttpHandler({ httpAgent, httpsAgent, ...this.#timeouts });
      this.#proxied.set(key, handler);
    }
    return handler;
  }
}
