import { CodedError } from '../../errors.ts';

const CONNECT = 'rest.client.connection-timeout-ms';
const SOCKET = 'rest.client.socket-timeout-ms';

const DEFAULT_CONNECT_MS = 10_000;
/** Iceberg's own server takes 91 s for a table whose metadata file is truncated; no other request is known to take this long. */
const DEFAULT_CALL_MS = 30_000;

/**
 * Reads the timeouts, in milliseconds, from the properties of Iceberg's `HTTPClient`. The socket timeout limits a whole call here, so that it
 * applies to a server that sends slowly too.
 *
 * @throws CodedError `INVALID_ARGUMENT` that names the property
 */
export function timeoutsOf(properties: Readonly<Record<string, string>>): { connectMs: number; timeoutMs: number } {
  return {
    connectMs: milliseconds(properties, CONNECT) ?? DEFAULT_CONNECT_MS,
    timeoutMs: milliseconds(properties, SOCKET) ?? DEFAULT_CALL_MS,
  };
}

function milliseconds(properties: Readonly<Record<string, string>>, name: string): number | undefined {
  const text = properties[name]?.trim();
  if (!text) return undefined;
  if (/^[1-9]\d{0,6}$/.test(text)) return Number(text);
  throw new CodedError('INVALID_ARGUMENT', `${name}=${text} is not a number of milliseconds from 1 to 9999999`);
}
