import { Client, Connection } from '@temporalio/client';
import type { PayloadCodec } from '@temporalio/common';
import { CodedError } from '../errors.ts';
import { temporalSettings } from './settings.ts';
import { traceStarts } from './trace-starts.ts';

/**
 * Connects a Temporal client as the standard `TEMPORAL_*` variables and profiles specify.
 *
 * @param codec encrypts payloads that are sent and decrypts those that are received
 * @throws CodedError UNAVAILABLE that names the address; INVALID_ARGUMENT if the settings cannot be read
 */
export async function connectTemporal(codec?: PayloadCodec): Promise<Client> {
  const { connectionOptions, namespace } = temporalSettings();
  try {
    const connection = await Connection.connect({ connectTimeout: '10s', ...connectionOptions });
    const dataConverter = codec && { payloadCodecs: [codec] };
    const traced = traceStarts();
    const interceptors = traced && { workflow: [traced] };
    return new Client({ connection, namespace, dataConverter, interceptors });
  } catch (error) {
    throw new CodedError(
      'UNAVAILABLE',
      `Temporal cannot be reached at ${connectionOptions.address ?? '127.0.0.1:7233'}. Start it with \`reconciler up\`, or set TEMPORAL_ADDRESS.`,
      { cause: error },
    );
  }
}
