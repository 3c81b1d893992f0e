import {
  createServer,
  type IncomingHttpHeaders,
  type RequestListener,
  type Server,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo, Socket } from 'node:net';

export interface Asked {
  method: string;
  path: string;
  headers: IncomingHttpHeaders;
  body: string;
}

export interface AnsweringServer extends AsyncDisposable {
  readonly url: string;
  /** Every request that came, oldest first. */
  readonly asked: Asked[];
}

/** A server on this machine that answers as the test says. */
export async function answeringServer(
  answer: (asked: Asked, response: ServerResponse, n: number) => void | Promise<void>,
): Promise<AnsweringServer> {
  const asked: Asked[] = [];
  const listener: RequestListener = async (request, response) => {
    const body = Buffer.concat(await request.toArray()).toString('utf8');
    const one = { method: request.method ?? '', path: request.url ?? '', headers: request.headers, body };
    asked.push(one);
    try {
      await answer(one, response, asked.length);
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
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

export function answerJson(
  response: ServerResponse,
  json: unknown,
  status = 200,
  headers: Record<string, string> = {},
): void {
  const body = typeof json === 'string' ? json : JSON.stringify(json);
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(body);
}

/** An error as the OpenAPI has it. */
export function answerError(
  response: ServerResponse,
  status: number,
  type: string,
  message: string,
  headers = {},
): void {
  answerJson(response, { error: { message, type, code: status, stack: ['not to be shown'] } }, status, headers);
}
