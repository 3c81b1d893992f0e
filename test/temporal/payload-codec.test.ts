import { randomBytes, webcrypto } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from '@jest/globals';
import type { Payload } from '@temporalio/common';
import { temporal } from '@temporalio/proto';
import { readConfig } from '../../src/config.ts';
import { EncryptionCodec, openPayloadCodec } from '../../src/temporal/payload-codec.ts';
import { stubEnv, unstubAllEnvs } from '../jest/stub-env.ts';

const payload = (value: unknown): Payload => ({
  metadata: { encoding: Buffer.from('json/plain') },
  data: Buffer.from(JSON.stringify(value)),
});
const json = ({ data }: Payload) => JSON.parse(Buffer.from(data!).toString());
const [a, b] = [randomBytes(32), randomBytes(32)];
const codec = (keys: Record<string, Buffer>) => new EncryptionCodec(new Map(Object.entries(keys)));

describe('EncryptionCodec', () => {
  it('encrypts the whole payload with a new nonce each time, and adds the id of the key', async () => {
    const payloads = [payload({ table: 'orders' }), payload('orders')];
    const encrypted = await codec({ a, b }).encode(payloads);
    for (const { metadata, data } of encrypted) {
      expect(Object.entries(metadata!).map(([key, value]) => `${key}: ${Buffer.from(value)}`)).toEqual([
        'encoding: binary/encrypted',
        'encryption-key-id: a',
      ]);
      expect(Buffer.from(data!).toString('latin1')).not.toMatch(/orders|json/);
    }
    expect((await codec({ a }).encode(payloads))[0]!.data).not.toEqual((await codec({ a }).encode(payloads))[0]!.data);
    expect((await codec({ a }).decode(encrypted)).map(json)).toEqual([{ table: 'orders' }, 'orders']);
  });

  it('can be decrypted by another implementation of AES-GCM', async () => {
    const [{ data }] = (await codec({ a }).encode([payload('orders')])) as [Payload];
    const key = await webcrypto.subtle.importKey('raw', a, 'AES-GCM', false, ['decrypt']);
    const bytes = Buffer.from(data!);
    const plain = await webcrypto.subtle.decrypt(
      {
        name: 'AES-GCM',
        iv: bytes.subarray(0, 12),
        additionalData: Buffer.from('binary/encrypted\0a'),
        tagLength: 128,
      },
      key,
      bytes.subarray(12),
    );
    expect(json(temporal.api.common.v1.Payload.decode(Buffer.from(plain)))).toBe('orders');
  });

  it('decrypts with any of its keys, and leaves unencrypted payloads as they are', async () => {
    const [old] = (await codec({ a }).encode([payload(1)])) as [Payload];
    const rotated = codec({ b, a });
    const [fresh] = (await rotated.encode([payload(2)])) as [Payload];
    expect(Buffer.from(fresh.metadata!['encryption-key-id']!).toString()).toBe('b');
    expect((await rotated.decode([old, fresh, payload(3)])).map(json)).toEqual([1, 2, 3]);
  });

  it('names a missing key', async () => {
    const encrypted = await codec({ old: a }).encode([payload(1)]);
    await expect(codec({ new: b }).decode(encrypted)).rejects.toMatchObject({
      code: 'DATA_LOSS',
      message: expect.stringMatching(/the key "old", which .* does not have \(it has new\)\. Add it/),
    });
  });

  it('refuses payloads whose data, key, key id or length has changed', async () => {
    const [{ metadata, data }] = (await codec({ a }).encode([payload('orders')])) as [Payload];
    const bytes = Buffer.from(data!);
    const flipped = Buffer.from(bytes);
    flipped[20]! ^= 1;
    const both = codec({ a, same: a });
    const changed: [EncryptionCodec, Payload][] = [
      [both, { metadata, data: flipped }],
      [codec({ a: b }), { metadata, data: bytes }],
      [both, { metadata: { ...metadata!, 'encryption-key-id': Buffer.from('same') }, data: bytes }],
      ...[0, 11, 12, 20, 27, bytes.length - 1].map((n): [EncryptionCodec, Payload] => [
        both,
        { metadata, data: bytes.subarray(0, n) },
      ]),
      [both, { metadata }],
    ];
    for (const [codec, payload] of changed) {
      await expect(codec.decode([payload])).rejects.toMatchObject({
        code: 'DATA_LOSS',
        message: expect.stringMatching(/the key (a|same) cannot be decrypted/),
      });
    }
  });
});

describe('openPayloadCodec', () => {
  afterEach(() => unstubAllEnvs());
  const open = (keys: string) => openPayloadCodec(readConfig({ RECONCILER_CODEC_KEYS: keys }).codecKeys);

  it('returns no codec if there are no keys', async () => {
    expect(await openPayloadCodec(readConfig({}).codecKeys)).toBeUndefined();
  });

  it('reads keys from variables and files, in base64 or hex', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'reconciler-keys-'));
    try {
      writeFileSync(join(folder, 'key'), `${b.toString('hex')}\n`);
      stubEnv('KEY_A', a.toString('base64'));
      const opened = await open(`a=env:KEY_A, b=file:${join(folder, 'key')}`);
      const encrypted = [...(await codec({ a }).encode([payload(1)])), ...(await codec({ b }).encode([payload(2)]))];
      expect((await opened!.decode(encrypted)).map(json)).toEqual([1, 2]);
      expect(await codec({ a }).decode(await opened!.encode([payload(3)]))).toHaveLength(1);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it.each([
    ['too short', randomBytes(16).toString('base64')],
    ['too long', randomBytes(33).toString('base64')],
    ['not base64', `${'x'.repeat(42)}!`],
    ['a password', 'correct horse battery staple'],
  ])('names id and reference of a wrong key (%s), but not the key itself', async (_, value) => {
    stubEnv('KEY_A', value);
    const error = await open('a=env:KEY_A').catch((e) => e);
    expect(error).toMatchObject({ code: 'FAILED_PRECONDITION' });
    expect(error.message).toMatch(/key a \(env:KEY_A\) is not a key of 32 bytes .*`openssl rand -base64 32`/);
    expect(error.message).not.toContain(value);
  });

  it('names id and reference of a key that does not exist', async () => {
    await expect(open('k9=env:NOT_SET_ANYWHERE')).rejects.toMatchObject({
      code: 'FAILED_PRECONDITION',
      message: expect.stringMatching(
        /key k9 refers to env:NOT_SET_ANYWHERE, and there is no such variable in this process/,
      ),
    });
  });

  it.each([
    [a.toString('base64'), 'is not a reference'],
    [`k=${a.toString('base64')}`, 'is not a reference'],
    ['', 'is not a reference'],
    ['a=env:A,', 'is not a reference'],
    ['=env:A', 'id is not 1 to 64 letters'],
    ['a b=env:A', 'id is not 1 to 64 letters'],
    ['a=env:A,a=env:B', 'two keys with the same id'],
  ])('RECONCILER_CODEC_KEYS=%s: %s', (keys, message) => {
    const error = (() => {
      try {
        readConfig({ RECONCILER_CODEC_KEYS: keys });
      } catch (e) {
        return e as Error;
      }
    })();
    expect(error).toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringContaining('RECONCILER_CODEC_KEYS '),
    });
    expect(error!.message).not.toContain(a.toString('base64').slice(0, 10));
    expect(error!.message).toContain(message);
  });
});
