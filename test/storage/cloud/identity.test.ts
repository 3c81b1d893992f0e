import { expect, it } from '@jest/globals';
import { hasIdentity, hasKeys, overlaid } from '../../../src/storage/cloud/identity.ts';

const S3 = { 's3.access-key-id': 'a', 's3.secret-access-key': 's', 's3.session-token': 't' };
const CONNECTION = 'AccountName=acct;AccountKey=a2V5;BlobEndpoint=http://127.0.0.1:1/acct';

it.each([
  ['s3://b/k', S3, true],
  ['s3a://b/k', { 'client.access-key-id': 'a' }, true],
  ['s3://b/k', { 's3.profile-name': 'p' }, false],
  ['s3://b/k', { 'adls.token': 't', 'gcs.oauth2.token': 't' }, false],
  ['abfs://c@a/k', { 'adls.sas-token.a': 's' }, true],
  ['abfs://c@a/k', { 'adls.sas-token': 's' }, true],
  ['wasbs://c@a/k', { 'adls.auth.shared-key.account.key': 'k' }, true],
  ['abfss://c@a/k', { 'adls.sas-token-expires-at-ms.a': '1' }, false],
  ['abfss://c@a/k', { 'adls.auth.shared-key.account.name': 'a' }, false],
  ['abfss://c@a/k', { 'adls.connection-string.a': CONNECTION }, true],
  ['abfss://c@a/k', { 'adls.connection-string.a': 'https://a.blob.core.windows.net?sig=x' }, true],
  ['abfss://c@a/k', { 'adls.connection-string.a': 'https://a.blob.core.windows.net' }, false],
  ['abfss://c@a/k', { 'adls.sas-token.a': '' }, false],
  ['gs://b/k', { 'gcs.oauth2.token': 't' }, true],
  ['gs://b/k', { 'gcs.oauth2.token-expires-at': '1', 'gcs.project-id': 'p' }, false],
  ['/file', { ...S3, 'adls.token': 't', 'gcs.oauth2.token': 't' }, false],
] as const)('for %s, %j has keys: %s', (path, properties, expected) => {
  expect(hasKeys(properties as unknown as Record<string, string>, path)).toBe(expected);
});

it.each([
  ['s3://b/k', { 's3.profile-name': 'p' }, true],
  ['s3://b/k', { 'adls.anon': 'true' }, false],
  ['abfss://c@a/k', { 'adls.client-id': 'c' }, true],
  ['abfss://c@a/k', { 'adls.anon': 'true' }, true],
  ['abfss://c@a/k', { 'adls.account-host': 'h' }, false],
  ['gs://b/k', { 'gcp.impersonate.service-account': 'a@b' }, true],
  ['gs://b/k', { 'gcs.service.host': 'h' }, false],
] as const)('for %s, %j has an identity: %s', (path, properties, expected) => {
  expect(hasIdentity(properties as unknown as Record<string, string>, path)).toBe(expected);
});

it('replaces the identity for one kind of storage, and leaves the others', () => {
  const lower = {
    ...S3,
    'adls.auth.shared-key.account.name': 'acct',
    'adls.auth.shared-key.account.key': 'k',
    'adls.connection-string.acct': CONNECTION,
    'adls.connection-string.other': 'https://other.example/x',
    'adls.tenant-id': 't',
    'gcs.credentials': '{}',
    'gcs.service.host': 'h',
  };
  expect(overlaid(lower, { 'adls.sas-token.acct': 'sas' })).toEqual({
    ...S3,
    // What is left of it is the address.
    'adls.connection-string.acct': 'http://127.0.0.1:1/acct',
    'adls.connection-string.other': 'https://other.example/x',
    'gcs.credentials': '{}',
    'gcs.service.host': 'h',
    'adls.sas-token.acct': 'sas',
  });
  const { 'gcs.credentials': _, ...withoutGoogle } = lower;
  expect(overlaid(lower, { 'gcs.oauth2.token': 'token' })).toEqual({ ...withoutGoogle, 'gcs.oauth2.token': 'token' });
  expect(overlaid(lower, { 's3.access-key-id': 'b' })).toEqual({
    ...Object.fromEntries(Object.entries(lower).filter(([name]) => !name.startsWith('s3.'))),
    's3.access-key-id': 'b',
  });
  expect(overlaid(lower, { 'adls.account-host': 'h' })).toEqual({ ...lower, 'adls.account-host': 'h' });
});
