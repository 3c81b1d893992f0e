import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A request to Glue, as received. */
export interface GlueRequest {
  /** Such as `GetTables`. */
  action: string;
  // biome-ignore lint/suspicious/noExplicitAny: the protocol's JSON
  body: any;
  /** Position among the requests for this action, from 1. */
  nth: number;
  headers: IncomingMessage['headers'];
}

/** A response instead of moto's: one of Glue's exceptions, or raw content. */
export type Fault =
  | { exception: string; message?: string; status?: number; headers?: Record<string, string> }
  | { raw: string; status?: number; headers?: Record<string, string> }
  | 'hang'
  | 'hang in the body'
  | 'cut';

export interface GlueProxy extends AsyncDisposable {
  readonly url: string;
  /** All attempts received, oldest first. */
  readonly requests: GlueRequest[];
  /** Number of requests by action since `forget`. */
  calls(): Record<string, number>;
  /** Forgets the requests, and moto's cached listings. Call it after each change of the tables. */
  forget(): void;
  /** Called before a request is forwarded; returns undefined to forward it. */
  fault?: (request: GlueRequest) => Fault | undefined;
  /** Maximum size of a page. Glue may return fewer objects than MaxResults, and never more than 100. */
  mostItems: number;
  /** Makes all page tokens issued so far invalid. */
  endTokens(): void;
}

/**
 * A proxy in front of moto's Glue that adds behaviour of the real Glue: it splits listings into pages of at most 100 by MaxResults and
 * NextToken, and it fails as a test requires.
 */
export async function startGlueProxy(moto: string): Promise<GlueProxy> {
  let generation = 0;
  const requests: GlueRequest[] = [];
  /** Complete listings by request, cached because moto needs a long time for them. */
  const kept = new Map<string, Promise<Answer>>();
  const server = createServer((request, response) => {
    answer(request, response).catch((error) => response.destroy(error));
  });

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const text = Buffer.concat(chunks);
    const action = String(request.headers['x-amz-target']).replace('AWSGlue.', '');
    const body = JSON.parse(text.toString() || '{}');
    const nth = requests.filter((request) => request.action === action).length + 1;
    const glueRequest = { action, body, nth, headers: request.headers };
    requests.push(glueRequest);
    const fault = proxy.fault?.(glueRequest);
    if (fault !== undefined) return fail(response, fault);

    const list = { GetTables: 'TableList', GetDatabases: 'DatabaseList' }[action];
    if (!list) return send(response, await forward(request, text));
    const { NextToken, MaxResults = 100, ...rest } = body;
    const [tokenGeneration, start] = NextToken === undefined ? [generation, 0] : NextToken.split(':').map(Number);
    if (tokenGeneration !== generation)
      return fail(response, { exception: 'InvalidInputException', message: 'Token has expired' });
    const key = JSON.stringify([action, rest]);
    const listing = kept.get(key) ?? forward(request, Buffer.from(JSON.stringify(rest)));
    kept.set(key, listing);
    const whole = await listing;
    if (whole.status !== 200) return send(response, whole);
    const json = JSON.parse(whole.text);
    const end = start + Math.min(MaxResults, proxy.mostItems);
    const more = end < json[list].length;
    const page = { ...json, [list]: json[list].slice(start, end), ...(more && { NextToken: `${generation}:${end}` }) };
    send(response, { ...whole, text: JSON.stringify(page) });
  }

  async function forward(request: IncomingMessage, body: Buffer): Promise<Answer> {
    const headers: Record<string, string> = {};
    for (const name of ['content-type', 'x-amz-target', 'authorization', 'x-amz-date']) {
      const value = request.headers[name];
      if (typeof value === 'string') headers[name] = value;
    }
    const got = await fetch(moto, { method: 'POST', headers, body: new Uint8Array(body) });
    return {
      status: got.status,
      text: await got.text(),
      headers: { 'x-amzn-errortype': got.headers.get('x-amzn-errortype') },
    };
  }

  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const proxy: GlueProxy = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    mostItems: 100,
    calls: () => {
      const counts: Record<string, number> = {};
      for (const { action } of requests) counts[action] = (counts[action] ?? 0) + 1;
      return counts;
    },
    forget() {
      requests.splice(0);
      kept.clear();
    },
    endTokens: () => {
      generation += 1;
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return proxy;
}

interface Answer {
  status: number;
  text: string;
  headers: Record<string, string | null>;
}

function send(response: ServerResponse, { status, text, headers }: Answer): void {
  const known = Object.entries(headers).filter((entry): entry is [string, string] => entry[1] !== null);
  response.writeHead(status, { 'content-type': 'application/x-amz-json-1.1', ...Object.fromEntries(known) }).end(text);
}

/** AWS JSON 1.1: the exception's name in `__type`. */
function fail(response: ServerResponse, fault: Fault): void {
  if (fault === 'hang') return;
  if (fault === 'hang in the body' || fault === 'cut') {
    response.writeHead(200, { 'content-type': 'application/x-amz-json-1.1', 'content-length': '1000' });
    response.write('{"TableList":[');
    if (fault === 'cut') setTimeout(() => response.destroy(), 20);
    return;
  }
  const { status, headers = {} } = fault;
  if ('raw' in fault) return void response.writeHead(status ?? 200, headers).end(fault.raw);
  const text = JSON.stringify({ __type: fault.exception, Message: fault.message ?? 'for the test' });
  send(response, { status: status ?? 400, text, headers });
}
