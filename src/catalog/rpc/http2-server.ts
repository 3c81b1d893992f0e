import type { Http2SecureServer, Http2Server, ServerHttp2Stream } from 'node:http2';
import { createRequire } from 'node:module';

/**
 * Bytes that a client may send before the service has read them, per stream and per connection. With HTTP/2's default of 64 KiB, every MiB
 * takes sixteen round trips, each of which waits until the service is not writing to the database.
 */
const WINDOW_BYTES = 4 * 1024 * 1024;

/** How long a client has, after the response to a call, to end its own side of the stream. */
const AFTER_RESPONSE_MS = 5_000;

type Http2 = typeof import('node:http2');
type ServerOptions = import('node:http2').ServerOptions;

/**
 * Gives the servers that `listen` creates a wide receive window, and closes streams that clients leave open after the response. grpc-js has
 * no options for these (only `grpc-node.flow_control_window` for clients) and does not expose its HTTP/2 server, so the calls that create
 * servers are intercepted.
 *
 * @returns what `listen` returns, and the servers: a name may have several addresses
 */
export async function withTunedServer<T>(
  listen: () => Promise<T>,
): Promise<{ result: T; servers: (Http2Server | Http2SecureServer)[] }> {
  // The CommonJS exports, which grpc-js uses.
  const http2 = createRequire(import.meta.url)('node:http2') as Http2;
  const { createServer, createSecureServer } = http2;
  const servers: (Http2Server | Http2SecureServer)[] = [];
  const tuned =
    <S extends Http2Server | Http2SecureServer>(create: (options: ServerOptions) => S) =>
    (options: ServerOptions): S => {
      const settings = { ...options?.settings, initialWindowSize: WINDOW_BYTES };
      const server = create({ ...options, settings });
      server.on('session', (session) => session.setLocalWindowSize(WINDOW_BYTES));
      server.on('stream', closeAfterResponse);
      servers.push(server);
      return server;
    };
  http2.createServer = tuned(createServer) as Http2['createServer'];
  http2.createSecureServer = tuned(createSecureServer) as Http2['createSecureServer'];
  try {
    return { result: await listen(), servers };
  } finally {
    Object.assign(http2, { createServer, createSecureServer });
  }
}

/** A stream stays open until both sides have ended it. RFC 9113 (8.1) lets a server close it after a complete response. */
function closeAfterResponse(stream: ServerHttp2Stream): void {
  stream.once('finish', () => {
    const timer = setTimeout(() => stream.close(), AFTER_RESPONSE_MS);
    timer.unref();
    stream.once('close', () => clearTimeout(timer));
  });
}
