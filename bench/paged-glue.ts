import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** The most tables that AWS returns from one call of GetTables. */
const MAX_ITEMS = 100;

/**
 * A proxy that adds pages to moto's Glue. moto returns all tables of a database at once, whatever MaxResults is; AWS returns at most 100. The
 * first page calls moto; later pages are cut from the same response.
 */
export class PagedGlue implements AsyncDisposable {
  readonly url: string;
  #server: Server;
  #target: string;
  #listings: unknown[][] = [];

  private constructor(server: Server, target: string) {
    this.#server = server;
    this.#target = target;
    this.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    server.on('request', (request, response) => {
      this.#handle(request, response).catch((error) => response.destroy(error));
    });
  }

  static async start(target: string): Promise<PagedGlue> {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new PagedGlue(server, target);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close');
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = Buffer.concat(await request.toArray());
    const operation = String(request.headers['x-amz-target']);
    if (!operation.endsWith('.GetTables')) return this.#send(response, await this.#forward(request, body));
    const { NextToken, MaxResults = MAX_ITEMS } = JSON.parse(body.toString());
    let [listing, start] = String(NextToken ?? '')
      .split(':')
      .map(Number) as [number, number];
    if (NextToken === undefined) {
      const allTables = await this.#forward(request, body);
      if (allTables.status !== 200) return this.#send(response, allTables);
      listing = this.#listings.push(JSON.parse(allTables.text).TableList) - 1;
      start = 0;
    }
    const tables = this.#listings[listing] ?? [];
    const end = start + Math.min(MaxResults, MAX_ITEMS);
    const next = end < tables.length ? { NextToken: `${listing}:${end}` } : {};
    this.#send(response, { status: 200, text: JSON.stringify({ TableList: tables.slice(start, end), ...next }) });
  }

  async #forward({ headers }: IncomingMessage, body: Buffer): Promise<{ status: number; text: string }> {
    const forwarded = ['authorization', 'content-type', 'x-amz-date', 'x-amz-target', 'x-amz-security-token'];
    const entries = forwarded.flatMap((name) => (headers[name] === undefined ? [] : [[name, String(headers[name])]]));
    const response = await fetch(this.#target, {
      method: 'POST',
      headers: Object.fromEntries(entries),
      body: new Uint8Array(body),
    });
    return { status: response.status, text: await response.text() };
  }

  #send(response: ServerResponse, { status, text }: { status: number; text: string }): void {
    response.writeHead(status, { 'content-type': 'application/x-amz-json-1.1' }).end(text);
  }
}
