import { once } from 'node:events';
import { Readable } from 'node:stream';
import { S3Client } from '@aws-sdk/client-s3';
import { expect, it } from '@jest/globals';
import { readBody } from '../../src/storage/http/read-body.ts';
import { directRequest } from '../../src/storage/s3/direct-request.ts';
import { FakeS3 } from './fake-s3.ts';

it('requests credentials once if they fail', async () => {
  await using s3 = await FakeS3.start();
  let calls = 0;
  const client = new S3Client({
    endpoint: s3.url,
    forcePathStyle: true,
    region: 'us-east-1',
    credentials: async () => {
      calls += 1;
      throw new Error('no credentials today');
    },
  });
  const get = directRequest(client, { bucket: 'lake', key: 'k', headers: {}, signed: true }, {});
  await expect(get).rejects.toThrow('no credentials today');
  expect(calls).toBe(1);
  expect(s3.seen).toEqual([]);
});

it('does not wait for a destroyed body', async () => {
  const gone = Readable.from([Buffer.from('x')]).destroy();
  await once(gone, 'close');
  await expect(readBody(gone, 1, { requests: 0, bytes: 0 })).rejects.toThrow('received 0 of 1 bytes');
});
