import {
  createServer,
  type IncomingHttpHeaders,
  type RequestListener,
  type Server,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo, Socket } from 'node:net';

export interface ReceivedRequest {
  method: string;
  path: string;
  headers: IncomingHttpHeaders;
  body: string;
}

export interface FakeServer extends AsyncDisposable {
  readonly url: string;
  /** All requests received, oldest first. */
  readonly requests: ReceivedRequest[];
}

/** Starts a server on this machine whose responses `respond` writes; `n` counts the requests from 1. @param port 0 for a free one */
export async function startFakeServer(
  respond: (request: ReceivedRequest, response: ServerResponse, n: number) => void | Promise<void>,
  port = 0,
): Promise<FakeServer> {
  const requests: ReceivedRequest[] = [];
  const listener: RequestListener = async (incoming, response) => {
    const body = Buffer.concat(await incoming.toArray()).toString('utf8');
    const request = { method: incoming.method ?? '', path: incoming.url ?? '', headers: incoming.headers, body };
    requests.push(request);
    try {
      await respond(request, response, requests.length);
    } catch (error) {
      response.writeHead(500).end(String(error));
    }
  };
  const server: Server = createServer(listener);
  const sockets = new Set<Socket>();
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

export function respondWithJson(
  response: ServerResponse,
  json: unknown,
  status = 200,
  headers: Record<string, string> = {},
): void {
  const body = typeof json === 'string' ? json : JSON.stringify(json);
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(body);
}

/** Responds with an error as in the OpenAPI. */
export function respondWithError(
  response: ServerResponse,
  status: number,
  type: string,
  message: string,
  headers = {},
): void {
  respondWithJson(response, { error: { message, type, code: status, stack: ['not to be shown'] } }, status, headers);
}
