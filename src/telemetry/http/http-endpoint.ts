import { createHash, timingSafeEqual } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { CodedError } from '../../errors.ts';

export interface HttpResponse {
  status: number;
  contentType: string;
  body: string;
}

export interface HttpEndpoint {
  /** host:port, with the actual port if 0 was requested. */
  address: string;
  close(): Promise<void>;
}

/**
 * Serves some pages to Prometheus and orchestrators' probes. The server does not keep the process alive.
 *
 * @param address host:port; port 0 for any free port
 * @param setting the variable that sets the address, for the error
 * @param pages by path; every other path gets 404
 * @param token that requests must send as `authorization: Bearer …`; without it they get 401. Absent: they need none
 * @throws CodedError UNAVAILABLE if the server cannot listen on the address
 */
export async function serveHttp(
  address: string,
  setting: string,
  pages: Readonly<Record<string, () => Promise<HttpResponse>>>,
  token?: string,
): Promise<HttpEndpoint> {
  const { host, port } = splitAddress(address);
  const server = createServer((request, response) => {
    if (token === undefined || sendsToken(request, token)) return void answer(request, response, pages);
    response
      .writeHead(401, { 'content-type': 'text/plain', 'www-authenticate': 'Bearer' })
      .end('a token is required\n');
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) =>
      reject(new CodedError('UNAVAILABLE', `${setting}=${address} cannot be listened on: ${cause.message}`, { cause })),
    );
    server.listen({ host, port }, resolve);
  });
  server.unref();
  const { port: actualPort } = server.address() as { port: number };
  return {
    address: `${address.slice(0, address.lastIndexOf(':'))}:${actualPort}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** Splits host:port. An IPv6 address is in brackets, which the returned host does not have. */
export function splitAddress(address: string): { host: string; port: number } {
  const colon = address.lastIndexOf(':');
  return { host: address.slice(0, colon).replace(/^\[|\]$/g, ''), port: Number(address.slice(colon + 1)) };
}

/** Compares digests, so that the time says nothing about the token. */
function sendsToken({ headers }: IncomingMessage, token: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(headers.authorization ?? ''), digest(`Bearer ${token}`));
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
