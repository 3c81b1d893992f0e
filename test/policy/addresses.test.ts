import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { addressOf, networkProblem, networkSet } from '../../src/policy/addresses.ts';

const v4 = (text: string) => ({ family: 'ipv4', text });

describe('addressOf', () => {
  it.each([
    ['127.0.0.1', '127.0.0.1'],
    ['2130706433', '127.0.0.1'],
    ['0x7f000001', '127.0.0.1'],
    ['0x7f.1', '127.0.0.1'],
    ['0177.0.0.1', '127.0.0.1'],
    ['127.1', '127.0.0.1'],
    ['127.0.0.1.', '127.0.0.1'],
    ['0', '0.0.0.0'],
    ['[::ffff:169.254.169.254]', '169.254.169.254'],
    ['::ffff:a9fe:a9fe', '169.254.169.254'],
    ['::ffff:0:169.254.169.254', '169.254.169.254'],
    ['64:ff9b::169.254.169.254', '169.254.169.254'],
    ['64:ff9b:1::169.254.169.254', '169.254.169.254'],
    ['64:ff9b:1:2:3:4:169.254.169.254', '169.254.169.254'],
    ['2002:a9fe:a9fe::1', '169.254.169.254'],
    ['::169.254.169.254', '169.254.169.254'],
  ])('%s is %s', (text, expected) => {
    expect(addressOf(text)).toEqual(v4(expected));
  });

  it.each([
    ['::1', '::1'],
    ['[0:0:0:0:0:0:0:1]', '::1'],
    ['::', '::'],
    ['fe80::1%eth0', 'fe80::1'],
    ['FD00:EC2::254', 'fd00:ec2::254'],
  ])('%s is the IPv6 address %s', (text, expected) => {
    expect(addressOf(text)).toEqual({ family: 'ipv6', text: expected });
  });

  it.each(['', 'localhost', 'catalog.example.com', '1.2.3.4.example.com', 'a b', '1.2.3.4.5'])('%s is none', (text) => {
    expect(addressOf(text)).toBeUndefined();
  });

  it('reads every way to write an IPv4 address as the same one', () => {
    const byte = fc.integer({ min: 0, max: 255 });
    fc.assert(
      fc.property(fc.tuple(byte, byte, byte, byte), ([a, b, c, d]) => {
        const number = ((a * 256 + b) * 256 + c) * 256 + d;
        const dotted = [a, b, c, d].join('.');
        const octal = [a, b, c, d].map((part) => `0${part.toString(8)}`).join('.');
        const hex = [a, b, c, d].map((part) => `0x${part.toString(16)}`).join('.');
        const short = `${a}.${(b * 256 + c) * 256 + d}`;
        for (const text of [
          dotted,
          String(number),
          `0x${number.toString(16)}`,
          octal,
          hex,
          short,
          `::ffff:${dotted}`,
        ]) {
          expect(addressOf(text)).toEqual(v4(dotted));
        }
      }),
    );
  });

  it('reads every IPv6 address as itself, or as the IPv4 address that it stands for', () => {
    fc.assert(
      fc.property(fc.ipV6(), (text) => {
        const address = addressOf(text);
        expect(address).toBeDefined();
        expect(addressOf(address!.text)).toEqual(address);
      }),
    );
  });
});

describe('networkSet', () => {
  const has = (networks: string[], address: string) => networkSet(networks)(addressOf(address)!);

  it('has what is in one of the networks', () => {
    expect(has(['10.20.0.0/16', 'fd00::/8'], '10.20.255.1')).toBe(true);
    expect(has(['10.20.0.0/16', 'fd00::/8'], '10.21.0.0')).toBe(false);
    expect(has(['10.20.0.0/16', 'fd00::/8'], 'fd12::1')).toBe(true);
    expect(has(['10.20.30.40'], '10.20.30.40')).toBe(true);
    expect(has(['10.20.30.40'], '10.20.30.41')).toBe(false);
    expect(has(['10.20.0.0/16'], '::ffff:10.20.1.1')).toBe(true);
  });

  it('has an address exactly if its leading bits are those of the network', () => {
    const number = fc.integer({ min: 0, max: 2 ** 32 - 1 });
    const text = (n: number) => [n >>> 24, (n >>> 16) & 255, (n >>> 8) & 255, n & 255].join('.');
    fc.assert(
      fc.property(number, number, fc.integer({ min: 0, max: 32 }), (network, address, bits) => {
        const shift = BigInt(32 - bits);
        const same = BigInt(network) >> shift === BigInt(address) >> shift;
        expect(has([`${text(network)}/${bits}`], text(address))).toBe(same);
      }),
    );
  });

  it.each(['10.0.0.0/33', '::/129', 'localhost', '10.0.0.0/8/8', '10.0.0/8', '', '10.0.0.0/-1'])(
    'does not take %s',
    (network) => {
      expect(networkProblem(network)).toContain(JSON.stringify(network));
    },
  );
});
