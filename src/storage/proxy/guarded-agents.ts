import dns from 'node:dns';
import * as http from 'node:http';
import * as https from 'node:https';
import type { LookupFunction, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { addressOf } from '../../policy/addresses.ts';
import { currentPolicy } from '../../policy/current-policy.ts';
import { PolicyError } from '../../policy/policy-error.ts';

type Callback = (error: Error | null, socket: Duplex) => void;
type Options = http.RequestOptions & https.RequestOptions & { lookup?: LookupFunction };

/** Connections to the addresses that the worker's policy allows. */
export class GuardedAgent extends http.Agent {
  override createConnection(options: Options, callback?: Callback): Duplex | null | undefined {
    return guarded(options, callback, (checked) => super.createConnection(checked, callback));
  }
}

/** The same with TLS. */
export class GuardedSecureAgent extends https.Agent {
  override createConnection(options: Options, callback?: Callback): Duplex | null | undefined {
    return guarded(options, callback, (checked) => super.createConnection(checked, callback));
  }
}

/**
 * Connects if the policy allows the address. An address in place of a name is checked at once, what a name is resolved to before a connection is made
 * to it, and the peer, once more, before the first byte is sent.
 */
function guarded(
  options: Options,
  callback: Callback | undefined,
  connect: (options: Options) => Duplex | null | undefined,
): Duplex | null | undefined {
  const host = options.host ?? '';
  const problem = refusalOf(host, host);
  if (problem !== undefined) {
    callback?.(problem, undefined as never);
    return undefined;
  }
  const socket = connect({ ...options, lookup: checkedLookup(host) }) as Socket | undefined;
  // In front of the listener with which TLS begins.
  socket?.prependListener('connect', () => {
    const refused = refusalOf(host, socket.remoteAddress ?? '');
    if (refused !== undefined) socket.destroy(refused);
  });
  return socket;
}

/** @throws PolicyError if the host is an address to which the policy allows no connections; names are not resolved */
export function requireAllowedAddress(host: string): void {
  const problem = refusalOf(host, host);
  if (problem !== undefined) throw problem;
}

function refusalOf(host: string, address: string): PolicyError | undefined {
  const parsed = addressOf(address);
  const refusal = parsed && currentPolicy().networks.refusal(parsed);
  if (refusal === undefined) return undefined;
  const resolved = parsed?.text === host ? '' : ` (${parsed?.text})`;
  return new PolicyError(`the worker does not connect to ${host}${resolved}: it is ${refusal}`);
}

function checkedLookup(host: string): LookupFunction {
  return (name, options, callback) =>
    dns.lookup(name, options, (error, found, family) => {
      if (error !== null) return callback(error, found, family);
      const addresses = typeof found === 'string' ? [found] : found.map(({ address }) => address);
      const refusals = addresses.map((address) => refusalOf(host, address));
      const first = refusals[0];
      if (first !== undefined && refusals.every((refusal) => refusal !== undefined))
        return callback(first, found, family);
      if (typeof found === 'string') return callback(null, found, family);
      callback(
        null,
        found.filter((_, at) => refusals[at] === undefined),
      );
    });
}
