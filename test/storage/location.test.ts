import { expect, it } from '@jest/globals';
import { comparableLocation, isInObjectStore, sameScheme, schemeOf } from '../../src/storage/location.ts';

const SAME = 'abfss://c@acct.dfs.core.windows.net/a/b';

it.each([
  'abfss://c@acct.dfs.core.windows.net/a/b/',
  'abfs://c@acct.dfs.core.windows.net/a//b',
  'wasbs://c@acct.blob.core.windows.net/a/x/../b',
  'WASB://c@acct.blob.core.windows.net/a/b',
])('%s is the same place as the others', (path) => expect(comparableLocation(path)).toBe(SAME));

it.each([
  'abfss://other@acct.dfs.core.windows.net/a/b',
  'abfss://c@other.dfs.core.windows.net/a/b',
  'abfss://c@acct.dfs.core.windows.net/a',
  'gs://c@acct.dfs.core.windows.net/a/b',
])('%s is another place', (path) => expect(comparableLocation(path)).not.toBe(SAME));

it.each([
  ['s3a://b/k', 's3', true],
  ['abfs://c@a/k', 'abfss', true],
  ['wasbs://c@a/k', 'abfss', true],
  ['gs://b/k', 'gs', true],
  ['gcs://b/k', 'gcs', false],
  ['/a', 'file', false],
  ['constructor://x', 'constructor', false],
] as const)('%s has the scheme %s', (path, scheme, inStore) => {
  expect([schemeOf(path), isInObjectStore(path)]).toEqual([scheme, inStore]);
});

it('a prefix may be a scheme alone', () => {
  expect(['s3', 's3n:', 'wasb', 'abfs://c@a.blob.', 'gs://b/x'].map(sameScheme)).toEqual([
    's3',
    's3:',
    'abfss',
    'abfss://c@a.dfs.',
    'gs://b/x',
  ]);
});
