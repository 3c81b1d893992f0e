import { Client, Connection } from '@temporalio/client';
import { loadClientConnectConfig } from '@temporalio/envconfig';
import { CodedError } from '../errors.ts';

/**
 * A Temporal client after the standard `TEMPORAL_*` variables and profiles.
 *
 * @throws CodedError UNAVAILABLE that names the address.
 */
export async function connectTemporal(): Promise<Client> {
  const { connectionOptions, namespace } = loadClientConnectConfig();
  try {
    const connection = await Connection.connect({ connectTimeout: '10s', ...connectionOptions });
    return new Client({ connection, namespace: namespace ?? 'default' });
  } catch (error) {
    throw new CodedError(
      'UNAVAILABLE',
      `Temporal cannot be reached at ${connectionOptions?.address ?? '127.0.0.1:7233'}. Start it with \`reconciler up\`, or set TEMPORAL_ADDRESS.`,
      { cause: error },
    );
  }
}
