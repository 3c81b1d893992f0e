import { describe, expect, it } from '@jest/globals';
import { addressOf } from '../../src/policy/addresses.ts';
import { networks } from '../../src/policy/networks.ts';

const NONE = { allow: [], deny: [] };
const refusal = (address: string, isCatalogLocal: boolean, lists: { allow?: string[]; deny?: string[] } = {}) =>
  networks({ ...NONE, ...lists }, isCatalogLocal).refusal(addressOf(address)!);

const NEVER = [
  '169.254.169.254',
  '169.254.170.2',
  'fe80::1',
  'fd00:ec2::254',
  'fd20:ce::254',
  '168.63.129.16',
  '100.100.100.200',
  '192.0.0.192',
  '::ffff:169.254.169.254',
];
const LOOPBACK = ['127.0.0.1', '127.255.255.255', '::1', '0.0.0.0', '::', '::ffff:127.0.0.1'];
const PRIVATE = [
  '10.0.0.1',
  '172.16.0.1',
  '172.31.255.255',
  '192.168.1.1',
  '100.64.0.1',
  'fc00::1',
  'fdff::1',
  '::ffff:10.0.0.1',
  '64:ff9b::10.0.0.1',
  '224.0.0.1',
  '255.255.255.255',
];
const PUBLIC = ['8.8.8.8', '172.15.255.255', '172.32.0.0', '100.63.255.255', '100.128.0.0', '2606:4700::1111'];

describe('the addresses that a worker connects to', () => {
  it.each(NEVER)('%s is never one, even if the policy allows it', (address) => {
    expect(refusal(address, true, { allow: ['0.0.0.0/0', '::/0'] })).toContain('metadata');
  });

  it.each([...LOOPBACK, ...PRIVATE])(
    '%s is one with a catalog on this machine, or if the policy allows it',
    (address) => {
      expect(refusal(address, true)).toBeUndefined();
      expect(refusal(address, false)).toContain('networks.allow of its policy (RECONCILER_WORKER_POLICY)');
      expect(refusal(address, false, { allow: ['0.0.0.0/0', '::/0'] })).toBeUndefined();
    },
  );

  it.each(PUBLIC)('%s is one', (address) => {
    expect(refusal(address, true)).toBeUndefined();
    expect(refusal(address, false)).toBeUndefined();
  });

  it.each([...LOOPBACK, ...PRIVATE, ...PUBLIC])(
    '%s is not one if the policy denies it, whatever it allows',
    (address) => {
      const lists = { allow: ['0.0.0.0/0', '::/0'], deny: ['0.0.0.0/0', '::/0'] };
      expect(refusal(address, true, lists)).toContain('networks.deny');
    },
  );
});
