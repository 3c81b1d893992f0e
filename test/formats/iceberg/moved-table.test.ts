import { describe, expect, it } from '@jest/globals';
import { MetadataFiles } from '../../../src/formats/iceberg/metadata-files.ts';
import { MemoryStore } from '../../connectors/memory-store.ts';

describe('MetadataFiles', () => {
  it.each([
    ['file:/old/t', '/new/t', 'file:/old/t/metadata/x.avro', '/new/t/metadata/x.avro'],
    ['file:/old/t', '/new/t', 'file:///old/t/metadata/x.avro', '/new/t/metadata/x.avro'],
    ['file:///old/t', '/new/t/', '/old/t/metadata/x.avro', '/new/t/metadata/x.avro'],
    ['/old/t', '/new/t', 'file://localhost/old/t/a', '/new/t/a'],
    ['s3://bucket/t', '/new/t', 's3://bucket/t/metadata/x.avro', '/new/t/metadata/x.avro'],
    // Writers of one table differ in the scheme.
    ['s3a://bucket/t', 's3://new/t', 's3n://bucket/t/x.avro', 's3://new/t/x.avro'],
    ['hdfs://service/t', '/new/t', 'hdfs://host:8020/t/x.avro', '/new/t/x.avro'],
    ['hdfs:/t', '/new/t', 'hdfs://service/t/x.avro', '/new/t/x.avro'],
    ['s3://bucket/t', '/new/t', 's3a://other/t/x.avro', 's3a://other/t/x.avro'],
    // The path is below another folder whose name has the same prefix.
    ['file:/old/t', '/new/t', 'file:/old/t2/x.avro', 'file:/old/t2/x.avro'],
    ['file:/old/t', '/new/t', '/elsewhere/x.avro', '/elsewhere/x.avro'],
    // The table was not moved.
    ['file:///t', '/t', 'file:///t/x.avro', 'file:///t/x.avro'],
    ['/old/with space%20', '/new', '/old/with space%20/a b', '/new/a b'],
  ])('location %s, folder %s: %s is at %s', (location, folder, path, resolved) => {
    expect(new MetadataFiles(new MemoryStore(), location, folder).resolve(path)).toBe(resolved);
  });

  it('reads the path in the metadata if the file was not moved', async () => {
    const store = new MemoryStore();
    store.objects.set('/old/t/a', Buffer.from('left behind'));
    const files = new MetadataFiles(store, '/old/t', '/new/t');
    expect(Buffer.from(await files.read('/old/t/a', { maxBytes: 100 })).toString()).toBe('left behind');
    await expect(files.read('/old/t/b', { maxBytes: 100 })).rejects.toMatchObject({
      code: 'NOT_FOUND',
      message: expect.stringContaining('/new/t/b'),
    });
  });
});
