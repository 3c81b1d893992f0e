import { BlockList, isIP } from 'node:net';
import { isThisMachine } from '../../policy/this-machine.ts';

const DEFAULT_PORTS: Readonly<Record<string, string>> = { 'http:': '80', 'https:': '443' };

/**
 * Whether requests to the URL are sent directly: to this machine, which a proxy cannot mean, and to what `NO_PROXY` lists. As in curl and Go's
 * `httpproxy`, its entries are separated by commas or spaces, and are `*` for everything, a host name with those below it (a leading `.` or `*.`
 * changes nothing), an IP address, or a network such as `10.0.0.0/8`; a name or an address may have a port. Names are not resolved.
 *
 * @param url http or https
 */
export function isExempt(url: URL, noProxy: string): boolean {
  if (isThisMachine(url.href)) return true;
  const host = plainHost(url.hostname);
  const port = url.port || DEFAULT_PORTS[url.protocol];
  return noProxy
    .split(/[\s,]+/)
    .filter((entry) => entry !== '')
    .some((entry) => matches(entry.toLowerCase(), host, port));
}

function matches(entry: string, host: string, port: string | undefined): boolean {
  if (entry === '*') return true;
  const [, network, bits] = /^([0-9a-f.:]+)\/(\d{1,3})$/.exec(entry) ?? [];
  if (network !== undefined) return isInNetwork(host, network, Number(bits));
  // An IPv6 address has a port only behind brackets.
  const [, name = entry, wantedPort] = isIP(entry) ? [] : (/^(.+):(\d+)$/.exec(entry) ?? []);
  if (wantedPort !== undefined && wantedPort !== port) return false;
  const wanted = plainHost(name.replace(/^\*?\./, ''));
  return host === wanted || (isIP(host) === 0 && host.endsWith(`.${wanted}`));
}

function isInNetwork(host: string, network: string, bits: number): boolean {
  const family = isIP(network);
  if (family === 0 || isIP(host) !== family || bits > (family === 4 ? 32 : 128)) return false;
  const list = new BlockList();
  list.addSubnet(network, bits, family === 4 ? 'ipv4' : 'ipv6');
  return list.check(host, family === 4 ? 'ipv4' : 'ipv6');
}

/** Without the brackets of an IPv6 address and the dot at the end of a complete name. */
function plainHost(host: string): string {
  return host.replace(/^\[(.*)\]$/, '$1').replace(/\.$/, '');
}
