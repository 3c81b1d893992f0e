import { loadClientConfigProfile, toClientOptions } from '@temporalio/envconfig';
import { CodedError } from '../errors.ts';

/**
 * Where Temporal is, as the standard `TEMPORAL_*` variables and profiles specify.
 *
 * @throws CodedError INVALID_ARGUMENT if a profile or a file that they name cannot be read
 */
export function temporalSettings() {
  const { namespace, connectionOptions } = readable(() => toClientOptions(loadClientConfigProfile()));
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
