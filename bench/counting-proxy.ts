import { once } from 'node:events';
import { Agent, createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** Requests and the bytes of their answers' bodies, by operation. */
export type Counts = Record<string, { requests: number; bytes: number }>;

/** Passes every request on to a server of this machine, unchanged (so that signatures hold), and counts it. */
export class CountingProxy implements AsyncDisposable {
  readonly url: string;
  #server: Server;
  #agent: Agent;
  #counts: Counts = {};

  private constructor(server: Server, agent: Agent, target: URL) {
    this.#server = server;
    this.#agent = agent;
    this.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    server.on('request', (asked, answer) => this.#pass(asked, answer, target));
  }

  static async start(target: string): Promise<CountingProxy> {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new CountingProxy(server, new Agent({ keepAlive: true }), new URL(target));
  }

  /** What came since the last call. */
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

  #pass(asked: IncomingMessage, answer: ServerResponse, { hostname, port }: URL): void {
    const { method, url: path, headers } = asked;
    const passed = request({ hostname, port, method, path, headers, agent: this.#agent });
    passed.on('response', (given) => {
      this.#counts[operationOf(asked, given)] ??= { requests: 0, bytes: 0 };
      const count = this.#counts[operationOf(asked, given)]!;
      count.requests++;
      given.on('data', (chunk: Buffer) => {
        count.bytes += chunk.length;
      });
      answer.writeHead(given.statusCode ?? 502, given.rawHeaders);
      given.pipe(answer);
    });
    passed.on('error', () => answer.destroy());
    asked.pipe(passed);
  }
}

/** `GetTables` of Glue, `GET /v1/namespaces/…/tables/…` of a REST catalog, `GET object` of S3; with the status where it is not 200. */
function operationOf({ method, url = '', headers }: IncomingMessage, { statusCode }: IncomingMessage): string {
  const status = statusCode === 200 || statusCode === 206 ? '' : ` ${statusCode}`;
  const target = headers['x-amz-target'];
  if (typeof target === 'string') return target.replace(/^.*\./, '') + status;
  const [path = '', query = ''] = url.split('?');
  if (path.startsWith('/v1/')) return `${method} ${path.replace(/(namespaces|tables|views)\/[^/]+/g, '$1/…')}${status}`;
  return `${method} ${/list-type/.test(query) ? 'list' : 'object'}${status}`;
}
