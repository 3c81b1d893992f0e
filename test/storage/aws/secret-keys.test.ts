import { describe, expect, it } from '@jest/globals';
import { withoutSecrets } from '../../../src/secrets.ts';
import { propertiesWithSecret } from '../../../src/storage/aws/secret-keys.ts';

// AWS's own example keys (IAM User Guide, "Manage access keys").
const ID = 'AKIAIOSFODNN7EXAMPLE';
const KEY = 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY';
const TOKEN = 'IQoJb3JpZ2luX2VjEXAMPLE==';

const properties = (secret: string | undefined, scheme = 'aws', more: Record<string, string> = {}) =>
  propertiesWithSecret({
    properties: { 'glue.id': '1', ...more },
    auth: {
      scheme,
      properties: { 'client.region': 'eu-west-1' },
      ...(secret !== undefined && { secret }),
    },
  });

const plain = { 'glue.id': '1', 'client.region': 'eu-west-1' };
const keys = { ...plain, 'client.access-key-id': ID, 'client.secret-access-key': KEY };

describe('a secret with AWS keys', () => {
  it.each([
    ['two keys', `${ID}:${KEY}`, keys],
    ['two keys from a file', `${ID}:${KEY}\n`, keys],
    ['temporary keys', `${ID}:${KEY}:${TOKEN}`, { ...keys, 'client.session-token': TOKEN }],
    [
      'what `aws configure export-credentials` prints',
      JSON.stringify({
        Version: 1,
        AccessKeyId: ID,
        SecretAccessKey: KEY,
        SessionToken: TOKEN,
        Expiration: '2026-01-01T00:00:00Z',
      }),
      { ...keys, 'client.session-token': TOKEN },
    ],
    ['names of a credentials file', JSON.stringify({ aws_access_key_id: ID, aws_secret_access_key: KEY }), keys],
    ['names of properties', JSON.stringify({ 'glue.access-key-id': ID, 'glue.secret-access-key': KEY }), keys],
    ['missing', undefined, plain],
    ['empty', '', plain],
  ])('can be %s', (_, secret, expected) => {
    expect(properties(secret)).toEqual(expected);
    expect(properties(secret, 'sigv4')).toEqual(expected);
    expect(properties(secret, '')).toEqual(expected);
  });

  it.each([
    ['one word', 'hunter2hunter2'],
    ['JSON without keys', '{"password":"hunter2hunter2"}'],
    ['broken JSON', '{"AccessKeyId":"hunter2hunter2"'],
  ])('is rejected if it is %s, and is not in the error', (_, secret) => {
    expect(() => properties(secret)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }));
    expect(() => properties(secret)).not.toThrow(/hunter2/);
  });

  it('is masked from then on', () => {
    properties(JSON.stringify({ AccessKeyId: ID, SecretAccessKey: KEY, SessionToken: TOKEN }));
    expect(withoutSecrets(`a ${KEY} b ${TOKEN}`)).toBe('a *** b ***');
  });

  it('is rejected with other schemes', () => {
    expect(() => properties(`${ID}:${KEY}`, 'bearer')).toThrow(/bearer is not supported for AWS/);
    expect(() => properties(`${ID}:${KEY}`, 'none')).toThrow(/none takes no secret/);
    expect(properties(undefined, 'none')).toEqual(plain);
  });
});
