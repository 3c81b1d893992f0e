import { describe, expect, it } from '@jest/globals';
import { localPath, localPathCandidates } from '../../src/storage/file-uri.ts';

describe('localPath', () => {
  it.each([
    ['/a/b', '/a/b'],
    ['file:/a/b', '/a/b'],
    ['file:///a/b', '/a/b'],
    ['FILE:///a', '/a'],
    ['file://localhost/a', '/a'],
    ['file:/a%20b', '/a%20b'],
    ['/a:b/c', '/a:b/c'],
    ['relative/path', 'relative/path'],
    ['part:one', 'part:one'],
  ])('%s is %s', (uri, path) => {
    expect(localPath(uri)).toBe(path);
  });

  it.each([
    ['s3://bucket/a', 'UNIMPLEMENTED'],
    ['file://host/a', 'INVALID_ARGUMENT'],
    ['file://', 'INVALID_ARGUMENT'],
    ['', 'INVALID_ARGUMENT'],
    ['/a\0b', 'INVALID_ARGUMENT'],
  ])('%j is %s', (uri, code) => {
    expect(() => localPath(uri)).toThrow(expect.objectContaining({ code }));
  });
});

describe('localPathCandidates', () => {
  it.each([
    ['file:///a%20b', ['/a%20b', '/a b']],
    ['file:///a%zz', ['/a%zz']],
    ['file:///a%00', ['/a%00']],
    ['/a%20b', ['/a%20b']],
    ['file:///a', ['/a']],
  ])('%s may be %j', (uri, paths) => {
    expect(localPathCandidates(uri)).toEqual(paths);
  });
});
