import { checkOutgoing, type Outgoing } from '../../policy/secret-grants.ts';
import { requireAllowedAddress } from './guarded-agents.ts';
import type { ForwardProxy } from './proxy.ts';

/**
 * Checks a request at the last step before it is sent: the secrets in it may be sent to its host and, if a connector chose a proxy, to the proxy what
 * the proxy sees. What a proxy connects to cannot be checked, unless it is an address.
 *
 * @throws PolicyError that names the secret's reference and the host, or the address
 */
export function checkRequest(request: Outgoing, proxy: ForwardProxy | undefined): void {
  checkOutgoing(request);
  if (proxy === undefined) return;
  requireAllowedAddress(request.host);
  // Whoever starts the worker chose it.
  if (proxy.isWorkers) return;
  const { hostname, port, protocol } = new URL(proxy.origin);
  const { path, headers, body } = request.secure ? { path: '', headers: {}, body: undefined } : request;
  checkOutgoing({
    host: hostname,
    port,
    secure: protocol === 'https:',
    path,
    headers: { ...headers, 'proxy-authorization': proxy.authorization ?? '' },
    body,
  });
}
