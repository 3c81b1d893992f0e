import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { CodedError } from '../../errors.ts';

export interface HttpResponse {
  status: number;
  contentType: string;
  body: string;
}

export interface HttpEndpoint {
  /** With the real port. */
  address: string;
  close(): Promise<void>;
}

/**
 * Answers GET on some paths, for Prometheus and for orchestrators' probes. It does not keep the process alive.
 *
 * @param address host:port; port 0 takes a free one
 * @param setting what the address was set by, for the error
 * @throws CodedError UNAVAILABLE where the address cannot be listened on
 */
export async function serveHttp(
  address: string,
  setting: string,
  pages: Readonly<Record<string, () => Promise<HttpResponse>>>,
): Promise<HttpEndpoint> {
  const { host, port } = splitAddress(address);
  const server = createServer((request, response) => void answer(request, response, pages));
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) =>
      reject(new CodedError('UNAVAILABLE', `${setting}=${address} cannot be listened on: ${cause.message}`, { cause })),
    );
    server.listen({ host, port }, resolve);
  });
  server.unref();
  const { port: real } = server.address() as { port: number };
  return {
    address: `${address.slice(0, address.lastIndexOf(':'))}:${real}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** An IPv6 address stands in brackets. */
export function splitAddress(address: string): { host: string; port: number } {
  const colon = address.lastIndexOf(':');
  return { host: address.slice(0, colon).replace(/^\[|\]$/g, ''), port: Number(address.slice(colon + 1)) };
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  pages: Readonly<Record<string, () => Promise<HttpResponse>>>,
): Promise<void> {
  const page = pages[request.url?.split('?')[0] ?? ''];
  const { status, contentType, body } = await (page === undefined
    ? Promise.resolve({ ...NOT_FOUND, body: `only ${Object.keys(pages).join(', ')}\n` })
    : page().catch((error: Error) => ({ ...FAILED, body: `${error.message}\n` })));
  response.writeHead(status, { 'content-type': contentType }).end(request.method === 'HEAD' ? undefined : body);
}

const NOT_FOUND = { status: 404, contentType: 'text/plain' };
const FAILED = { status: 500, contentType: 'text/plain' };
