import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';

/** A request that a rule handles. */
export interface Exchange {
  incoming: IncomingMessage;
  body: Buffer;
  response: ServerResponse;
  /** Sends the request to the real server, optionally with another path, and returns the response with its body decompressed. */
  ask(path?: string): Promise<{ status: number; headers: Record<string, string>; body: Buffer }>;
}

export type Fault = (exchange: Exchange) => void | Promise<void>;

export interface Rule {
  method?: string;
  /** Matches path and query as they were sent. */
  path: RegExp;
  /** Whether the rule handles the nth matching request, counted from 1; if absent, it handles all. */
  hits?: (n: number) => boolean;
  /** Whether the rule handles a request, by its content. */
  takes?: (request: IncomingMessage) => boolean;
  fault: Fault;
}

/** An HTTP proxy in front of a real server. The first matching rule handles a request; requests without a rule are forwarded unchanged. */
export interface FaultProxy extends AsyncDisposable {
  readonly url: string;
  rules: Rule[];
  /** All requests received, oldest first. */
  readonly requests: { method: string; path: string; headers: IncomingMessage['headers']; atMs: number }[];
}

export async function startFaultProxy(target: string, rules: Rule[] = []): Promise<FaultProxy> {
  const sockets = new Set<Socket>();
  const matchCounts = new Map<Rule, number>();
  const proxy = { rules, requests: [] as FaultProxy['requests'] };
  const server = createServer(async (incoming, response) => {
    const { method = '', url: path = '', headers } = incoming;
    proxy.requests.push({ method, path, headers, atMs: performance.now() });
    const body = Buffer.concat(await incoming.toArray().catch(() => []));
    const exchange: Exchange = {
      incoming,
      body,
      response,
      ask: (other = path) => askWhole(target, incoming, other, body),
    };
    const rule = proxy.rules.find((candidate) => {
      if ((candidate.method ?? method) !== method || !candidate.path.test(path)) return false;
      if (candidate.takes?.(incoming) === false) return false;
      const n = (matchCounts.get(candidate) ?? 0) + 1;
      matchCounts.set(candidate, n);
      return candidate.hits?.(n) ?? true;
    });
    try {
      await (rule?.fault ?? passOn(target))(exchange);
    } catch {
      response.destroy();
    }
  });
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return Object.assign(proxy, {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  });
}

/** Forwards a request with its bytes and headers unchanged. */
export function passOn(target: string): Fault {
  return ({ incoming, body, response }) =>
    new Promise((resolve, reject) => {
      const outgoing = forward(target, incoming, incoming.url ?? '/', incoming.headers);
      outgoing.on('response', (answer) => {
        response.writeHead(answer.statusCode ?? 502, answer.rawHeaders);
        answer.pipe(response).on('finish', resolve).on('error', reject);
      });
      outgoing.on('error', reject);
      outgoing.end(body);
    });
}

function askWhole(target: string, incoming: IncomingMessage, path: string, sent: Buffer): ReturnType<Exchange['ask']> {
  return new Promise((resolve, reject) => {
    const outgoing = forward(target, incoming, path, { ...incoming.headers, 'accept-encoding': 'identity' });
    outgoing.on('error', reject);
    outgoing.on('response', async (answer) => {
      const body = Buffer.concat(await answer.toArray());
      const headers: Record<string, string> = {};
      for (const name of ['content-type', 'etag']) {
        const value = answer.headers[name];
        if (typeof value === 'string') headers[name] = value;
      }
      resolve({ status: answer.statusCode ?? 502, headers, body });
    });
    outgoing.end(sent);
  });
}

function forward(target: string, { method }: IncomingMessage, path: string, headers: IncomingMessage['headers']) {
  // The path as it was sent, because `URL` would normalize it.
  const { hostname, port } = new URL(target);
  const prefix = target.replace(/^https?:\/\/[^/]+/, '');
  return request({
    hostname,
    port,
    method,
    path: `${prefix}${path}`,
    headers: { ...headers, host: `${hostname}:${port}` },
  });
}

// Faults

/** Responds with an error as in the OpenAPI. */
export function refuse(status: number, type: string, headers: Record<string, string> = {}): Fault {
  return ({ response }) => {
    const body = JSON.stringify({ error: { message: "from the test's proxy", type, code: status } });
    response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(body);
  };
}

/** Accepts the request and never responds. */
export const hang: Fault = () => {};

/** Responds and then sends single bytes forever. */
export const trickle: Fault = ({ response }) => {
  response.writeHead(200, { 'content-type': 'application/json' });
  const timer = setInterval(() => response.write(' '), 100);
  response.on('close', () => clearInterval(timer));
};

/** Sends half of the response and breaks the connection: with a length, in chunks, or without any sign that more should follow. */
export function cutBody(how: 'length' | 'chunks' | 'close'): Fault {
  return async ({ ask, response }) => {
    const { status, headers, body } = await ask();
    const half = body.subarray(0, body.length / 2);
    if (how === 'close') {
      response.shouldKeepAlive = false;
      response.useChunkedEncodingByDefault = false;
      response.writeHead(status, { ...headers, connection: 'close' });
      response.end(half);
      return;
    }
    response.writeHead(status, how === 'length' ? { ...headers, 'content-length': body.length } : headers);
    response.write(half, () => setTimeout(() => response.destroy(), 50));
  };
}

export function redirect(status: number, location: string | ((path: string) => string)): Fault {
  return ({ incoming, response }) => {
    const to = typeof location === 'string' ? location : location(incoming.url ?? '');
    response.writeHead(status, { location: to }).end();
  };
}

/** Responds with a login page, as gateways do. */
export const htmlPage: Fault = ({ response }) => {
  response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' });
  response.end('<!doctype html><title>Sign in</title><form method="post"><input name="password"></form>');
};

/** Forwards the request and changes the JSON of the response. */
export function changed(change: (json: Record<string, unknown>) => object): Fault {
  return async ({ ask, response }) => {
    const { status, headers, body } = await ask();
    response.writeHead(status, headers).end(JSON.stringify(change(JSON.parse(body.toString('utf8')))));
  };
}

/** Returns the first page again and again, with the given tokens in turn as the token of the next page. */
export function firstPageForEver(tokens: string[]): Fault {
  let pages = 0;
  return async ({ ask, incoming, response }) => {
    const { status, headers, body } = await ask(incoming.url?.replace(/pageToken=[^&]*/, 'pageToken='));
    const page = { ...JSON.parse(body.toString('utf8')), 'next-page-token': tokens[pages++ % tokens.length] };
    response.writeHead(status, headers).end(JSON.stringify(page));
  };
}
