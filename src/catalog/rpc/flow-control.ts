import { createRequire } from 'node:module';

/**
 * Bytes that a client may send before the service has read them, per stream and per connection. With HTTP/2's default of 64 KiB, every MiB
 * takes sixteen round trips, each of which waits until the service is not writing to the database.
 */
const WINDOW_BYTES = 4 * 1024 * 1024;

type Http2 = typeof import('node:http2');

/**
 * Gives the servers that `listen` creates a wide receive window. grpc-js has this option only for clients
 * (`grpc-node.flow_control_window`) and does not expose its HTTP/2 server, so the call that creates the server is intercepted.
 */
export async function withWideWindow<T>(listen: () => Promise<T>): Promise<T> {
  // The CommonJS exports, which grpc-js uses.
  const http2 = createRequire(import.meta.url)('node:http2') as Http2;
  const { createServer } = http2;
  http2.createServer = ((options: import('node:http2').ServerOptions) => {
    const settings = { ...options?.settings, initialWindowSize: WINDOW_BYTES };
    const server = createServer({ ...options, settings });
    server.on('session', (session) => session.setLocalWindowSize(WINDOW_BYTES));
    return server;
  }) as Http2['createServer'];
  try {
    return await listen();
  } finally {
    http2.createServer = createServer;
  }
}
