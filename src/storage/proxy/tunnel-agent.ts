import * as http from 'node:http';
import * as https from 'node:https';
import { isIP, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import * as tls from 'node:tls';
import { PolicyError } from '../../policy/policy-error.ts';
import { GuardedAgent, GuardedSecureAgent } from './guarded-agents.ts';
import type { ForwardProxy } from './proxy.ts';
import { ProxyError } from './proxy-error.ts';

/** Limit for the connection to the proxy, its connection to the server, and the TLS handshake with that one. */
const CONNECT_TIMEOUT_MS = 10_000;

type Callback = (error: Error | null, socket: Duplex) => void;

/**
 * Sends HTTPS requests through tunnels of a proxy (RFC 9110, section 9.3.6), which are kept alive as other connections are. A proxy that refuses to
 * connect is an error (`ProxyError`): its response must not be taken for one of the server. That is why `https-proxy-agent` is not used.
 */
export class TunnelAgent extends https.Agent {
  readonly #proxy: ForwardProxy;

  constructor(proxy: ForwardProxy, options: https.AgentOptions) {
    super(options);
    this.#proxy = proxy;
  }

  override createConnection(options: https.RequestOptions, callback?: Callback): undefined {
    const { host, port } = options;
    const target = `${host?.includes(':') ? `[${host}]` : host}:${port || 443}`;
    const { origin, authorization, isWorkers } = this.#proxy;
    const secure = origin.startsWith('https:');
    const guarded = secure ? new GuardedSecureAgent() : new GuardedAgent();
    const request = (secure ? https : http).request(origin, {
      method: 'CONNECT',
      path: target,
      agent: isWorkers ? false : guarded,
      servername: serverName(this.#proxy),
      headers: { host: target, ...(authorization !== undefined && { 'proxy-authorization': authorization }) },
    });
    let connecting: { destroy(error: Error): void } = request;
    const deadline = setTimeout(() => connecting.destroy(timeoutError()), CONNECT_TIMEOUT_MS);
    const done = (error: Error | null, socket?: Duplex) => {
      clearTimeout(deadline);
      // Node ignores the socket if there is an error.
      callback?.(error, socket as Duplex);
    };
    request.on('error', (error) =>
      done(error instanceof PolicyError ? error : ProxyError.unreachable(this.#proxy, error)),
    );
    request.on('response', ({ statusCode = 0 }) => {
      done(ProxyError.refused(this.#proxy, target, statusCode));
      request.destroy();
    });
    request.on('connect', ({ statusCode = 0 }, socket: Socket) => {
      if (statusCode !== 200) {
        socket.destroy();
        return done(ProxyError.refused(this.#proxy, target, statusCode));
      }
      const overTls = tls.connect({ ...(options as tls.ConnectionOptions), socket });
      connecting = overTls;
      overTls.once('error', done);
      overTls.once('secureConnect', () => {
        overTls.off('error', done);
        done(null, overTls);
      });
    });
    request.end();
    return undefined;
  }
}

/** The name of the proxy for TLS. By default Node takes that of the header Host, which is another server's. Empty for an address. */
export function serverName({ origin }: ForwardProxy): string {
  const { hostname } = new URL(origin);
  return hostname.startsWith('[') || isIP(hostname) !== 0 ? '' : hostname;
}

function timeoutError(): Error {
  return Object.assign(new Error(`no connection within ${CONNECT_TIMEOUT_MS / 1000} s`), { code: 'ETIMEDOUT' });
}
