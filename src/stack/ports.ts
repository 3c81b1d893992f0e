import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';
import { CodedError } from '../errors.ts';

/** Whether a server can listen on this port of this host now. */
export function isPortFree(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve(true)));
  });
}

/** Below the range that systems use for outgoing connections, so that no connection takes the port before it is listened on. */
const [MIN_PORT, MAX_PORT] = [15_000, 32_000];

/**
 * Finds a port that no process listens on now.
 *
 * @throws CodedError UNAVAILABLE if there is none, usually because the host is not an address of this machine
 */
export async function freePort(host: string): Promise<number> {
  for (let attempt = 0; attempt < 100; attempt++) {
    const port = randomInt(MIN_PORT, MAX_PORT);
    if (await isPortFree(host, port)) return port;
  }
  throw new CodedError(
    'UNAVAILABLE',
    `${host} has no free port from ${MIN_PORT} to ${MAX_PORT}. Is it an address of this machine?`,
  );
}

export interface PortRequest {
  /** The option that names the port, such as `--port`; used in the error. */
  option: string;
  /** The port that the user named; no other one is chosen instead. */
  named?: number;
  /** Without `named`: the first of these ports that is free, or any free port if none is. */
  preferred: number[];
}

/**
 * Chooses a port that no process listens on now.
 *
 * @returns the port; `insteadOf` is the first preferred port if that one is taken
 * @throws CodedError INVALID_ARGUMENT if the port that the user named is taken
 */
export async function choosePort(host: string, request: PortRequest): Promise<{ port: number; insteadOf?: number }> {
  if (request.named !== undefined) {
    if (await isPortFree(host, request.named)) return { port: request.named };
    throw new CodedError(
      'INVALID_ARGUMENT',
      `${request.option} ${request.named} is taken on ${host} by another process. Name a free one, or leave ${request.option} out to have one chosen.`,
    );
  }
  for (const port of request.preferred) {
    if (await isPortFree(host, port))
      return { port, insteadOf: port === request.preferred[0] ? undefined : request.preferred[0] };
  }
  return { port: await freePort(host), insteadOf: request.preferred[0] };
}
