import { describe, expect, it } from '@jest/globals';
import { FilePaths, vectorId } from '../../../src/formats/delta/files/file-paths.ts';

describe('paths in the log', () => {
  const local = new FilePaths('/lake/t');
  const s3 = new FilePaths('s3a://bucket/lake/t/');

  it('are percent-decoded once', () => {
    expect(local.absolute('p=a%253Db/x%20y+z.parquet')).toBe('file:///lake/t/p=a%3Db/x y+z.parquet');
    expect(local.absolute("ü(1)[2]'#?.parquet")).toBe("file:///lake/t/ü(1)[2]'#?.parquet");
    expect(local.absolute('p=%C3%BC%20%25')).toBe('file:///lake/t/p=ü %');
    // What is no UTF-8 stays.
    expect(local.absolute('100%/a%20b%ff.parquet')).toBe('file:///lake/t/100%/a b%ff.parquet');
  });

  it('are absolute with a scheme or a leading slash', () => {
    for (const spelling of ['/other/a b', 'file:/other/a%20b', 'file:///other/a%20b', 'file://localhost/other/a%20b']) {
      expect(local.absolute(spelling)).toBe('file:///other/a b');
    }
    expect(local.absolute('S3A://bucket/a%20b')).toBe('s3://bucket/a b');
    expect(s3.absolute('/a')).toBe('s3://bucket/a');
    expect(s3.absolute('a/b')).toBe('s3://bucket/lake/t/a/b');
    // No scheme: a colon in a name.
    expect(local.absolute('t=2024-01-01 10:20:30/a')).toBe('file:///lake/t/t=2024-01-01 10:20:30/a');
    expect(local.absolute('a:b.parquet')).toBe('file:///lake/t/a:b.parquet');
  });

  it('identify a file however it is spelled', () => {
    for (const spelling of ['a%20b', 'a b', '/lake/t/a%20b', 'file:/lake/t/a%20b', 'file:///lake/t/a b']) {
      expect(local.key(spelling)).toBe('a b');
    }
    expect(s3.key('s3n://bucket/lake/t/x')).toBe('x');
    expect(local.key('file:///lake/t2/a')).toBe('file:///lake/t2/a');
  });
});

describe('deletion vectors', () => {
  const paths = new FilePaths('s3://bucket/t');

  // The protocol's own examples ("Derived Fields", "JSON Example 1 and 2").
  it('have files whose names are derived from UUIDs', () => {
    const vector = { offset: 1, sizeInBytes: 36, cardinality: 2 };
    expect(paths.vector({ storageType: 'u', pathOrInlineDv: 'ab^-aqEH.-t@S}K{vb[*k^', ...vector }, 'a')).toBe(
      's3://bucket/t/ab/deletion_vector_d2c639aa-8816-431a-aaf6-d3fe2512ff61.bin',
    );
    expect(paths.vector({ storageType: 'p', pathOrInlineDv: 's3://other/a%20b.bin', ...vector }, 'a')).toBe(
      's3://other/a b.bin',
    );
    expect(
      paths.vector(
        {
          storageType: 'i',
          pathOrInlineDv: 'wi5b=000010000siXQKl0rr91000f55c8Xg0@@D72lkbi5=-{L',
          ...vector,
        },
        'a',
      ),
    ).toBeUndefined();
    expect(() => paths.vector({ storageType: 'u', pathOrInlineDv: 'short', ...vector }, 'a')).toThrow(
      'not a UUID in Z85',
    );
    expect(() => paths.vector({ storageType: 'u', pathOrInlineDv: '~'.repeat(20), ...vector }, 'a')).toThrow(
      'not a UUID',
    );
  });

  it('differ by their offset, also if one has none', () => {
    const vector = { storageType: 'u' as const, pathOrInlineDv: 'x', sizeInBytes: 1, cardinality: 1 };
    expect(vectorId(undefined)).toBe('');
    expect(vectorId(vector)).toBe('ux');
    expect(vectorId({ ...vector, offset: 0 })).toBe('ux@0');
    expect(vectorId({ ...vector, offset: 4 })).toBe('ux@4');
  });
});
