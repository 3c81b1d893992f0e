import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';
import { CodedError } from '../errors.ts';

/** True where a server can listen on this port of this host now. */
export function isPortFree(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve(true)));
  });
}

/** Below the range from which systems take the ports of outgoing connections, so that none takes it before it is listened on. */
const [LOWEST, HIGHEST] = [15_000, 32_000];

/**
 * A port that nobody listens on now.
 *
 * @throws CodedError UNAVAILABLE where none is found: the host is not of this machine, as a rule
 */
export async function freePort(host: string): Promise<number> {
  for (let attempt = 0; attempt < 100; attempt++) {
    const port = randomInt(LOWEST, HIGHEST);
    if (await isPortFree(host, port)) return port;
  }
  throw new CodedError(
    'UNAVAILABLE',
    `${host} has no free port from ${LOWEST} to ${HIGHEST}: is it an address of this machine?`,
  );
}

export interface PortRequest {
  /** What it is for, as in `--port`. */
  option: string;
  /** Asked for by the user: this one or an error. */
  named?: number;
  /** Else the first of these that is free, else any. */
  preferred: number[];
}

/**
 * @returns The port, and the preferred one it stands for where that was taken.
 * @throws CodedError INVALID_ARGUMENT where the port that the user named is taken.
 */
export async function choosePort(host: string, wish: PortRequest): Promise<{ port: number; insteadOf?: number }> {
  if (wish.named !== undefined) {
    if (await isPortFree(host, wish.named)) return { port: wish.named };
    throw new CodedError(
      'INVALID_ARGUMENT',
      `${wish.option} ${wish.named} is taken on ${host} by another process. Name a free one, or leave ${wish.option} out to have one chosen.`,
    );
  }
  for (const port of wish.preferred) {
    if (await isPortFree(host, port))
      return { port, insteadOf: port === wish.preferred[0] ? undefined : wish.preferred[0] };
  }
  return { port: await freePort(host), insteadOf: wish.preferred[0] };
}
