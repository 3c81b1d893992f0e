import { CodedError } from '../../errors.ts';

const CONNECT = 'rest.client.connection-timeout-ms';
const SOCKET = 'rest.client.socket-timeout-ms';

const DEFAULT_CONNECT_MS = 10_000;
/** Iceberg's own server hangs 91 s over a table whose metadata file is cut; nothing else is known to need so long. */
const DEFAULT_CALL_MS = 30_000;

/** By the names of Iceberg's `HTTPClient`. The second is for a whole call here, and so for a server that trickles as well. */
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
  throw new CodedError('INVALID_ARGUMENT', `${name}=${text} is no number of milliseconds from 1 to 9999999`);
}
