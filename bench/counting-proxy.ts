import { once } from 'node:events';
import { Agent, createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** Numbers of requests and bytes of response bodies, by operation. */
export type Counts = Record<string, { requests: number; bytes: number }>;

/** Forwards every request unchanged (so that signatures stay valid) to a server on this machine, and counts it. */
export class CountingProxy implements AsyncDisposable {
  readonly url: string;
  #server: Server;
  #agent: Agent;
  #counts: Counts = {};

  private constructor(server: Server, agent: Agent, target: URL) {
    this.#server = server;
    this.#agent = agent;
    this.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    server.on('request', (incoming, response) => this.#forward(incoming, response, target));
  }

  static async start(target: string): Promise<CountingProxy> {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new CountingProxy(server, new Agent({ keepAlive: true }), new URL(target));
  }

  /** The counts since the last call. */
  take(): Counts {
    const counts = this.#counts;
    this.#counts = {};
    return counts;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    this.#agent.destroy();
    this.#server.close();
    await once(this.#server, 'close');
  }

  #forward(incoming: IncomingMessage, response: ServerResponse, { hostname, port }: URL): void {
    const { method, url: path, headers } = incoming;
    const forwarded = request({ hostname, port, method, path, headers, agent: this.#agent });
    forwarded.on('response', (upstreamResponse) => {
      this.#counts[operationOf(incoming, upstreamResponse)] ??= { requests: 0, bytes: 0 };
      const count = this.#counts[operationOf(incoming, upstreamResponse)]!;
      count.requests++;
      upstreamResponse.on('data', (chunk: Buffer) => {
        count.bytes += chunk.length;
      });
      response.writeHead(upstreamResponse.statusCode ?? 502, upstreamResponse.rawHeaders);
      upstreamResponse.pipe(response);
    });
    forwarded.on('error', () => response.destroy());
    incoming.pipe(forwarded);
  }
}

/** `GetTables` of Glue, `GET /v1/namespaces/…/tables/…` of a REST catalog, or `GET object` of S3, with the status if it is not 200. */
function operationOf({ method, url = '', headers }: IncomingMessage, { statusCode }: IncomingMessage): string {
  const status = statusCode === 200 || statusCode === 206 ? '' : ` ${statusCode}`;
  const target = headers['x-amz-target'];
  if (typeof target === 'string') return target.replace(/^.*\./, '') + status;
  const [path = '', query = ''] = url.split('?');
  if (path.startsWith('/v1/')) return `${method} ${path.replace(/(namespaces|tables|views)\/[^/]+/g, '$1/…')}${status}`;
  return `${method} ${/list-type/.test(query) ? 'list' : 'object'}${status}`;
}
