import { loadClientConfigProfile, toClientOptions } from '@temporalio/envconfig';
import { addressProblem } from '../config.ts';
import { CodedError } from '../errors.ts';

/**
 * Where Temporal is, as the standard `TEMPORAL_*` variables and profiles specify.
 *
 * @throws CodedError INVALID_ARGUMENT if a profile or a file that they name cannot be read, or the address is malformed
 */
export function temporalSettings() {
  const { namespace, connectionOptions } = readable(() => toClientOptions(loadClientConfigProfile()));
  checkAddress(connectionOptions.address);
  return { namespace: namespace || 'default', connectionOptions };
}

/**
 * The namespace alone, for which no certificate has to be readable.
 *
 * @throws CodedError INVALID_ARGUMENT if the profile cannot be read
 */
export function temporalNamespace(): string {
  return readable(() => loadClientConfigProfile()).namespace || 'default';
}

/** Temporal's own default port. */
const DEFAULT_PORT = 7233;

/** The SDK would try for a long time to connect to a malformed address. */
function checkAddress(address: string | undefined): void {
  const problem = address === undefined ? undefined : addressProblem(address, DEFAULT_PORT);
  if (problem === undefined) return;
  const setting =
    process.env.TEMPORAL_ADDRESS === address ? 'TEMPORAL_ADDRESS' : 'the address in the profile of Temporal';
  throw new CodedError('INVALID_ARGUMENT', `${setting} '${address}' ${problem}`);
}

function readable<T>(load: () => T): T {
  try {
    return load();
  } catch (error) {
    throw new CodedError(
      'INVALID_ARGUMENT',
      `Temporal's settings cannot be read: ${(error as Error).message}. Check TEMPORAL_PROFILE, TEMPORAL_CONFIG_FILE and the files they name.`,
      { cause: error },
    );
  }
}
