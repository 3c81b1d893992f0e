import { createRequire } from 'node:module';

/**
 * Bytes that a client may send ahead of what the service has read, a stream and a connection. HTTP/2's default of 64 KiB makes
 * sixteen round trips of every MiB, each of which waits until the service is not writing to the database.
 */
const WINDOW_BYTES = 4 * 1024 * 1024;

type Http2 = typeof import('node:http2');

/**
 * Lets servers that `listen` makes receive with a wide window. grpc-js sets it for clients (`grpc-node.flow_control_window`)
 * and not for servers, and hides the HTTP/2 server that it makes: so that one call is caught.
 */
export async function withWideWindow<T>(listen: () => Promise<T>): Promise<T> {
  // The CommonJS exports, which grpc-js looks at.
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
