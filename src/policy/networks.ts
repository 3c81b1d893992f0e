import { type Address, networkSet } from './addresses.ts';
import { POLICY_SETTING } from './policy-error.ts';

/** Addresses of the machine's own services, which issue its credentials: AWS, Azure and Google (also by IPv6), Azure's host, Alibaba and Oracle. */
const METADATA = networkSet([
  ...['169.254.0.0/16', 'fe80::/10', 'fd00:ec2::/32', 'fd20:ce::254/128'],
  ...['168.63.129.16/32', '100.100.100.200/32', '192.0.0.192/32'],
]);
/** On Linux, a connection to 0.0.0.0 or :: is one to this machine. */
const LOOPBACK = networkSet(['127.0.0.0/8', '0.0.0.0/8', '::/128', '::1/128']);
/** RFC 1918, RFC 6598 (shared), RFC 4193, RFC 3879; and what no server on the internet has: RFC 6890, multicast. */
const PRIVATE = networkSet([
  '10.0.0.0/8',
  '172.16.0.0/12',
  '192.168.0.0/16',
  '100.64.0.0/10',
  'fc00::/7',
  'fec0::/10',
  '192.0.0.0/24',
  '198.18.0.0/15',
  '224.0.0.0/3',
  'ff00::/8',
]);

/** Which addresses a worker may connect to for a connector. */
export interface Networks {
  /** Why it may not connect to the address, for the end of a sentence; undefined if it may. */
  refusal(address: Address): string | undefined;
}

/**
 * Link-local and metadata addresses are never allowed. Loopback and private ones are allowed if the catalog is on this machine, or if `allow` has
 * them. `deny` takes precedence over all.
 *
 * @param networks.allow valid networks, as of `networkProblem`
 */
export function networks(
  { allow, deny }: { allow: readonly string[]; deny: readonly string[] },
  isCatalogLocal: boolean,
): Networks {
  const [allowed, denied] = [networkSet(allow), networkSet(deny)];
  return {
    refusal(address) {
      if (denied(address)) return `which networks.deny of the worker's policy (${POLICY_SETTING}) has`;
      if (METADATA(address))
        return 'a link-local or metadata address, to which a worker never connects for a connector';
      const kind = LOOPBACK(address) ? "the worker's own machine" : PRIVATE(address) ? 'a private network' : undefined;
      if (kind === undefined || isCatalogLocal || allowed(address)) return undefined;
      return (
        `an address in ${kind}, which a worker with a catalog on another machine reaches only if networks.allow of its policy (${POLICY_SETTING}) ` +
        'has it'
      );
    },
  };
}
