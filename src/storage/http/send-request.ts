import * as http from 'node:http';
import * as https from 'node:https';
import { observeUpstream } from '../../telemetry/tracing/upstream.ts';
import { checkRequest } from '../proxy/check-request.ts';
import { Connections } from '../proxy/connections.ts';
import { type ForwardProxy, proxyFor } from '../proxy/proxy.ts';
import { ProxyError } from '../proxy/proxy-error.ts';

/** Maximum connections to one host, shared by all stores. */
export const MAX_SOCKETS = 64;
const CONNECT_TIMEOUT_MS = 5_000;
/** Maximum time without a byte in either direction. */
const SOCKET_TIMEOUT_MS = 30_000;

const connections = new Connections(MAX_SOCKETS);
const workersOwn = new Connections(MAX_SOCKETS, { isWorkersOwn: true });

export interface HttpRequest {
  method: 'GET' | 'HEAD' | 'POST';
  /** `https://host:port`. */
  origin: string;
  /** With the query. It is sent unchanged, so that it is what was signed. */
  path: string;
  /** Names are in lower case. */
  headers: Readonly<Record<string, string>>;
  body?: string;
}

export interface HttpSettings {
  /** The service, for metrics. */
  via: 'azure' | 'google';
  /** The connector's own proxy. Without it, this process's settings apply; `none` sends the request directly. */
  proxy?: ForwardProxy | 'none';
  /** The worker gets its own identity: the policy does not limit where it asks. */
  isWorkersOwn?: boolean;
  connectTimeoutMs?: number;
  socketTimeoutMs?: number;
}

/**
 * Sends a request over shared connections. Resolves when the response's headers have arrived; the caller must consume or destroy the body.
 *
 * @throws errors of Node, `ProxyError`, or an error named TimeoutError
 */
export function sendRequest(request: HttpRequest, settings: HttpSettings): Promise<http.IncomingMessage> {
  return observeUpstream(
    settings.via,
    () => ({ method: request.method, url: request.origin + request.path }),
    () => exchange(request, settings),
    ({ statusCode }) => statusCode ?? 0,
  );
}

async function exchange(request: HttpRequest, settings: HttpSettings): Promise<http.IncomingMessage> {
  const { isWorkersOwn = false, connectTimeoutMs = CONNECT_TIMEOUT_MS, socketTimeoutMs = SOCKET_TIMEOUT_MS } = settings;
  const { method, origin, path, headers, body } = request;
  const url = new URL(origin);
  const proxy = settings.proxy === 'none' ? undefined : proxyFor(url, settings.proxy);
  const secure = url.protocol === 'https:';
  const direct = { secure, host: url.hostname.replace(/^\[|\]$/g, ''), port: url.port, path, headers };
  if (!isWorkersOwn) checkRequest({ ...direct, body }, proxy);
  const route = (isWorkersOwn ? workersOwn : connections).routed(direct, proxy);
  return new Promise((resolve, reject) => {
    const outgoing = (route.secure ? https : http).request({
      agent: route.agent,
      method,
      host: route.host,
      port: route.port,
      path: route.path,
      headers: {
        'user-agent': 'reconciler',
        ...route.headers,
        ...(body !== undefined && { 'content-length': Buffer.byteLength(body) }),
      },
    });
    let incoming: http.IncomingMessage | undefined;
    const timedOut = (ms: number, what: string) => {
      const error = Object.assign(new Error(`no ${what} within ${ms / 1000} s`), { name: 'TimeoutError' });
      // The reader of the body gets this error, not that of the socket.
      incoming?.destroy(error);
      outgoing.destroy(error);
    };
    // The time starts when there is a socket; waiting for a free one says nothing about the server.
    let connecting: NodeJS.Timeout | undefined;
    outgoing.on('socket', (socket) => {
      if (!socket.connecting) return;
      connecting = setTimeout(() => timedOut(connectTimeoutMs, 'connection'), connectTimeoutMs);
      socket.once(route.secure ? 'secureConnect' : 'connect', () => clearTimeout(connecting));
    });
    outgoing.setTimeout(socketTimeoutMs, () => timedOut(socketTimeoutMs, 'byte'));
    outgoing.on('error', (error) => {
      clearTimeout(connecting);
      // A tunnel reports a failure of the proxy itself.
      reject(proxy !== undefined && !secure ? ProxyError.ofForwarded(proxy, error) : error);
    });
    outgoing.on('response', (response) => {
      clearTimeout(connecting);
      incoming = response;
      resolve(response);
    });
    outgoing.end(body);
  });
}
