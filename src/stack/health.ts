import { createChannel, createClient } from 'nice-grpc';
import { HealthDefinition } from 'nice-grpc-server-health';

/** `ServingStatus.SERVING` of grpc.health.v1; nice-grpc-server-health does not export the enum. */
const SERVING = 1;

/** Polls a gRPC server's health service until it reports SERVING. Throws the signal's reason if `signal` is aborted first. */
export async function waitUntilServing(address: string, service: string, signal: AbortSignal): Promise<void> {
  const channel = createChannel(address, undefined, {
    'grpc.initial_reconnect_backoff_ms': 50,
    'grpc.min_reconnect_backoff_ms': 50,
    'grpc.max_reconnect_backoff_ms': 200,
    // The server is on this machine, to which the proxy of `http_proxy` does not lead.
    'grpc.enable_http_proxy': 0,
  });
  try {
    const health = createClient(HealthDefinition, channel);
    for (;;) {
      signal.throwIfAborted();
      try {
        const attempt = AbortSignal.any([signal, AbortSignal.timeout(1_000)]);
        const { status } = await health.check({ service }, { signal: attempt });
        if (status === SERVING) return;
      } catch {
        // The server does not listen yet.
      }
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  } finally {
    channel.close();
  }
}
