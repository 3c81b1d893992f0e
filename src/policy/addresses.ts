import { BlockList, isIP, isIPv6 } from 'node:net';

/** An IP address in the form in which Node writes it. */
export interface Address {
  family: 'ipv4' | 'ipv6';
  text: string;
}

/**
 * The address that a text is, in any form that a resolver or a URL accepts: also `2130706433`, `0x7f.1`, `0177.0.0.1`, with brackets or a zone.
 * An IPv6 address that stands for an IPv4 address (mapped, compatible, NAT64 of RFC 6052 and RFC 8215, 6to4 of RFC 3056) is that one. Undefined for names.
 */
export function addressOf(text: string): Address | undefined {
  const plain = text.replace(/^\[(.*)\]$/, '$1').replace(/%.*$/, '');
  const url = `http://${isIPv6(plain) ? `[${plain}]` : plain}/`;
  if (plain === '' || !URL.canParse(url)) return undefined;
  const host = new URL(url).hostname.replace(/^\[|\]$/g, '').replace(/\.$/, '');
  const family = isIP(host);
  if (family === 4) return { family: 'ipv4', text: host };
  return family === 6 ? embedded(host) : undefined;
}

/** @param host as `URL` writes IPv6 addresses: without an IPv4 part, so that there are only groups of hexadecimal digits */
function embedded(host: string): Address {
  const groups = groupsOf(host);
  const v4 = ipv4In(groups);
  return v4 === undefined ? { family: 'ipv6', text: host } : { family: 'ipv4', text: v4 };
}

function ipv4In(groups: readonly number[]): string | undefined {
  const zeros = (from: number, to: number) => groups.slice(from, to).every((group) => group === 0);
  const at = (index: number) => [groups[index] as number, groups[index + 1] as number];
  const [first, second] = groups;
  // ::ffff:a.b.c.d, ::ffff:0:a.b.c.d, 64:ff9b::a.b.c.d
  if (zeros(0, 5) && groups[5] === 0xffff) return dotted(at(6));
  if (zeros(0, 4) && groups[4] === 0xffff && groups[5] === 0) return dotted(at(6));
  if (first === 0x64 && second === 0xff9b && zeros(2, 6)) return dotted(at(6));
  // 64:ff9b:1::/48, whose prefixes of 96 bits networks choose themselves.
  if (first === 0x64 && second === 0xff9b && groups[2] === 1) return dotted(at(6));
  if (first === 0x2002) return dotted(at(1));
  // ::a.b.c.d, but neither :: nor ::1.
  return zeros(0, 6) && groups[6] !== 0 ? dotted(at(6)) : undefined;
}

function groupsOf(host: string): number[] {
  const [head = '', tail] = host.split('::');
  const parts = (text: string) => (text === '' ? [] : text.split(':').map((group) => Number.parseInt(group, 16)));
  const [before, after] = [parts(head), parts(tail ?? '')];
  return [...before, ...new Array<number>(8 - before.length - after.length).fill(0), ...after];
}

function dotted([high = 0, low = 0]: number[]): string {
  return [high >> 8, high & 255, low >> 8, low & 255].join('.');
}

/** What is wrong with a network such as `10.0.0.0/8` or `fd00::1`; undefined if nothing is. */
export function networkProblem(network: string): string | undefined {
  const [address = '', bits, more] = network.split('/');
  const family = isIP(address);
  const max = family === 4 ? 32 : 128;
  const isValid =
    family !== 0 && more === undefined && (bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= max));
  return isValid ? undefined : `${JSON.stringify(network)} is not a network such as 10.20.0.0/16 or an address`;
}

/** A set of networks, which are valid. Those of IPv4 also hold for the IPv6 addresses that stand for their addresses. */
export function networkSet(networks: readonly string[]): (address: Address) => boolean {
  const list = new BlockList();
  for (const network of networks) {
    const [address = '', bits] = network.split('/');
    const family = isIP(address) === 4 ? 'ipv4' : 'ipv6';
    list.addSubnet(address, Number(bits ?? (family === 'ipv4' ? 32 : 128)), family);
  }
  return ({ text, family }) => list.check(text, family);
}
