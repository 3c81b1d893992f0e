import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** The most tables that AWS gives in an answer of GetTables. */
const MAX_ITEMS = 100;

/**
 * Glue with pages. moto gives all tables of a database at once, whatever MaxResults says; AWS gives 100 at most. A first page asks moto, later
 * ones are cut from what it said then.
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
    server.on('request', (asked, answer) => {
      this.#answer(asked, answer).catch((error) => answer.destroy(error));
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

  async #answer(asked: IncomingMessage, answer: ServerResponse): Promise<void> {
    const body = Buffer.concat(await asked.toArray());
    const operation = String(asked.headers['x-amz-target']);
    if (!operation.endsWith('.GetTables')) return this.#send(answer, await this.#ask(asked, body));
    const { NextToken, MaxResults = MAX_ITEMS } = JSON.parse(body.toString());
    let [listing, start] = String(NextToken ?? '')
      .split(':')
      .map(Number) as [number, number];
    if (NextToken === undefined) {
      const whole = await this.#ask(asked, body);
      if (whole.status !== 200) return this.#send(answer, whole);
      listing = this.#listings.push(JSON.parse(whole.text).TableList) - 1;
      start = 0;
    }
    const tables = this.#listings[listing] ?? [];
    const end = start + Math.min(MaxResults, MAX_ITEMS);
    const next = end < tables.length ? { NextToken: `${listing}:${end}` } : {};
    this.#send(answer, { status: 200, text: JSON.stringify({ TableList: tables.slice(start, end), ...next }) });
  }

  async #ask({ headers }: IncomingMessage, body: Buffer): Promise<{ status: number; text: string }> {
    const passed = ['authorization', 'content-type', 'x-amz-date', 'x-amz-target', 'x-amz-security-token'];
    const given = passed.flatMap((name) => (headers[name] === undefined ? [] : [[name, String(headers[name])]]));
    const response = await fetch(this.#target, {
      method: 'POST',
      headers: Object.fromEntries(given),
      body: new Uint8Array(body),
    });
    return { status: response.status, text: await response.text() };
  }

  #send(answer: ServerResponse, { status, text }: { status: number; text: string }): void {
    answer.writeHead(status, { 'content-type': 'application/x-amz-json-1.1' }).end(text);
  }
}
