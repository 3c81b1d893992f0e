import { Client, Connection } from '@temporalio/client';
import type { PayloadCodec } from '@temporalio/common';
import { isThisMachine } from '../policy/this-machine.ts';
import { temporalSettings } from './settings.ts';
import { TemporalUnreachable } from './temporal-errors.ts';
import { traceStarts } from './trace-starts.ts';

/** Temporal's own. */
const DEFAULT_ADDRESS = '127.0.0.1:7233';
/** Pause between attempts to reconnect. With gRPC's default, 120 s, work would go on only minutes after Temporal is back. */
const MAX_RECONNECT_MS = 5_000;

/**
 * Connects a Temporal client as the standard `TEMPORAL_*` variables and profiles specify.
 *
 * @param ofTenant the namespace of a tenant that has its own, instead of the one that they specify
 * @param codec encrypts payloads that are sent and decrypts those that are received
 * @throws TemporalUnreachable that names the address; INVALID_ARGUMENT if the settings cannot be read
 */
export async function connectTemporal(codec?: PayloadCodec, ofTenant?: string): Promise<Client> {
  const settings = temporalSettings();
  const { connectionOptions } = settings;
  const namespace = ofTenant ?? settings.namespace;
  try {
    // gRPC would send requests for this machine to the proxy of `http_proxy` too.
    const isHere = isThisMachine(`http://${connectionOptions.address ?? DEFAULT_ADDRESS}`);
    const channelArgs = {
      'grpc.max_reconnect_backoff_ms': MAX_RECONNECT_MS,
      ...(isHere && { 'grpc.enable_http_proxy': 0 }),
    };
    const connection = await Connection.connect({ connectTimeout: '10s', ...connectionOptions, channelArgs });
    const dataConverter = codec && { payloadCodecs: [codec] };
    const traced = traceStarts();
    const interceptors = traced && { workflow: [traced] };
    return new Client({ connection, namespace, dataConverter, interceptors });
  } catch (error) {
    throw new TemporalUnreachable(
      `Temporal cannot be reached at ${connectionOptions.address ?? DEFAULT_ADDRESS}. Start it with \`reconciler up\`, or set TEMPORAL_ADDRESS.`,
      { cause: error },
    );
  }
}
