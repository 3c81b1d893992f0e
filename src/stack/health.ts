import { createChannel, createClient } from 'nice-grpc';
import { HealthDefinition } from 'nice-grpc-server-health';

/** `ServingStatus.SERVING` of grpc.health.v1. */
const SERVING = 1;

/** Asks a gRPC server's health service until it says SERVING, or `signal` is aborted (then it throws the reason). */
export async function waitUntilServing(address: string, service: string, signal: AbortSignal): Promise<void> {
  const channel = createChannel(address, undefined, {
    'grpc.initial_reconnect_backoff_ms': 50,
    'grpc.min_reconnect_backoff_ms': 50,
    'grpc.max_reconnect_backoff_ms': 200,
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
        // Not listening yet.
      }
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  } finally {
    channel.close();
  }
}
