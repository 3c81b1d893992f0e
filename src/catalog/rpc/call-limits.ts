import { type ChannelOptions, ServerInterceptingCall, type ServerInterceptor, status } from '@grpc/grpc-js';

/**
 * How long a call waits for the client's next message. The time counts only while the service is ready to read. Our clients send something at
 * least every 20 s (see keep-alive.ts), and take as long as they like between calls.
 */
const MAX_SILENCE_MS = 60_000;

/** Ends calls whose client stops sending before its last message: they would stay open for as long as the connection does. */
const endSilentCalls: ServerInterceptor = (_method, call) => {
  let timer: NodeJS.Timeout | undefined;
  const heard = () => clearTimeout(timer);
  const watched = new (class extends ServerInterceptingCall {
    override startRead(): void {
      heard();
      timer = setTimeout(end, MAX_SILENCE_MS);
      super.startRead();
    }
  })(call, {
    start: (next) =>
      next({
        onReceiveMessage(message, next) {
          heard();
          next(message);
        },
        onReceiveHalfClose(next) {
          heard();
          next();
        },
        onCancel: heard,
      }),
    sendStatus(status, next) {
      heard();
      next(status);
    },
  });
  const end = () =>
    watched.sendStatus({
      code: status.DEADLINE_EXCEEDED,
      details: `the client sent nothing for ${MAX_SILENCE_MS / 1000} s, so the catalog ended the call: make it again`,
    });
  return watched;
};

/** Limits for clients that take more than they use. Connections close themselves; clients connect again without an error. */
export const CALL_LIMITS: ChannelOptions & { interceptors: ServerInterceptor[] } = {
  interceptors: [endSilentCalls],
  /** Calls per connection at the same time; further ones wait in the client. A worker has one connection. */
  'grpc.max_concurrent_streams': 256,
  'grpc.max_connection_idle_ms': 5 * 60_000,
  // A connection whose other side is gone, or never spoke HTTP/2, closes after the sum of both.
  'grpc.keepalive_time_ms': 30_000,
  'grpc.keepalive_timeout_ms': 20_000,
};
