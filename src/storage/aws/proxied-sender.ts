import { HttpRequest } from '@smithy/core/protocols';
import { NodeHttpHandler } from '@smithy/node-http-handler';
import type { Outgoing } from '../../policy/secret-grants.ts';
import { checkRequest } from '../proxy/check-request.ts';
import { type Connections, forwarded } from '../proxy/connections.ts';
import { type ForwardProxy, proxyFor } from '../proxy/proxy.ts';
import { ProxyError } from '../proxy/proxy-error.ts';

type Handle = NodeHttpHandler['handle'];
type Timeouts = Readonly<{ connectionTimeout: number; socketTimeout: number }>;

/** Sends the requests of AWS clients directly or through a proxy, over shared connections. */
export class ProxiedSender {
  readonly #connections: Connections;
  readonly #proxy?: ForwardProxy;
  readonly #isWorkersOwn: boolean;
  readonly #timeouts: Timeouts;
  readonly #direct: NodeHttpHandler;
  /** By proxy and purpose: the connector's own proxy, or those of the environment. */
  readonly #proxied = new Map<string, NodeHttpHandler>();

  /**
   * @param options.proxy the connector's own proxy. Without it, this process's settings apply
   * @param options.isWorkersOwn see `HttpSettings`; the connections are of the same kind
   */
  constructor(
    connections: Connections,
    { proxy, isWorkersOwn = false }: { proxy?: ForwardProxy; isWorkersOwn?: boolean },
    timeouts: Timeouts,
  ) {
    this.#connections = connections;
    this.#proxy = proxy;
    this.#isWorkersOwn = isWorkersOwn;
    this.#timeouts = timeouts;
    const { plain: httpAgent, secure: httpsAgent } = connections;
    this.#direct = new NodeHttpHandler({ httpAgent, httpsAgent, ...timeouts });
  }

  async send(request: Parameters<Handle>[0], options: Parameters<Handle>[1]): ReturnType<Handle> {
    const { protocol, hostname, port, path, query, headers } = request;
    const proxy = proxyFor(new URL(`${protocol}//${hostname}${port === undefined ? '' : `:${port}`}`), this.#proxy);
    if (!this.#isWorkersOwn) checkRequest(outgoing(request), proxy);
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
      const httpAgent = this.#connections.plainTo(proxy);
      const httpsAgent = this.#connections.secureOf(proxy, purpose);
      handler = new NodeHttpHandler({ httpAgent, httpsAgent, ...this.#timeouts });
      this.#proxied.set(key, handler);
    }
    return handler;
  }
}

function outgoing({ protocol, hostname, port, path, query, headers, body }: Parameters<Handle>[0]): Outgoing {
  let text = path;
  for (const name in query) text += `&${name}=${String(query[name])}`;
  return {
    host: hostname,
    port: String(port ?? ''),
    secure: protocol === 'https:',
    path: text,
    headers,
    // No request that is sent here streams its body.
    body: typeof body === 'string' ? body : body instanceof Uint8Array ? Buffer.from(body).toString() : undefined,
  };
}
