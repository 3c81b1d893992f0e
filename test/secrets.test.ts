import { describe, expect, it } from '@jest/globals';
import {
  isReferenceIn,
  isSecretReference,
  rememberConnectorSecret,
  rememberIssuedSecret,
  withoutSecrets,
} from '../src/secrets.ts';

describe('withoutSecrets', () => {
  it('masks a remembered secret in every encoding in which it may be sent', () => {
    const secret = 's3cr&t/with +"quotes" ü';
    rememberIssuedSecret(secret);
    const forms = [
      secret,
      encodeURIComponent(secret),
      new URLSearchParams({ client_secret: secret }).toString().slice('client_secret='.length),
      JSON.stringify({ secret }).slice(11, -2),
    ];
    for (const form of forms) expect(withoutSecrets(`<${form}>`)).toBe('<***>');
    expect(withoutSecrets(forms.join(' and '))).toBe('*** and *** and *** and ***');
  });

  it.each(['', 'u', 'us', 'usr', 'user', 'a-client-id', 'ü😀'])('masks the secret of %j in a Basic header', (user) => {
    const secret = 'pass-word-1234567890';
    rememberIssuedSecret(secret);
    const header = Buffer.from(`${user}:${secret}`).toString('base64');
    const masked = withoutSecrets(`Authorization: Basic ${header}`);
    expect(masked).toContain('***');
    // The unmasked remainder on both sides reveals at most the first and the last letter.
    expect(Buffer.from(masked.split(' ').at(-1)!.replace('***', ''), 'base64').toString('latin1')).not.toMatch(
      /ass|789/,
    );
  });

  it('masks a secret that contains another one', () => {
    rememberIssuedSecret('inner-secret');
    rememberIssuedSecret('outer-inner-secret-outer');
    expect(withoutSecrets('x outer-inner-secret-outer y inner-secret z')).toBe('x *** y *** z');
  });

  it('does not mask short secrets and other text', () => {
    rememberIssuedSecret('short');
    rememberIssuedSecret('');
    expect(withoutSecrets('a short text')).toBe('a short text');
    expect(withoutSecrets('')).toBe('');
  });

  it('forgets the least recently used secret beyond a thousand', () => {
    rememberIssuedSecret('first-secret');
    rememberIssuedSecret('second-secret');
    for (let i = 0; i < 998; i++) rememberIssuedSecret(`secret-number-${i}.`);
    rememberIssuedSecret('first-secret');
    rememberIssuedSecret('one-more-secret');
    expect(withoutSecrets('first-secret second-secret one-more-secret secret-number-997.')).toBe(
      '*** second-secret *** ***',
    );
  });

  it("keeps a thousand of the connectors' own secrets, however many servers issue", () => {
    rememberConnectorSecret('own-secret');
    for (let i = 0; i < 1_001; i++) rememberIssuedSecret(`issued-number-${i}.`);
    expect(withoutSecrets('own-secret issued-number-0.')).toBe('*** issued-number-0.');
    for (let i = 0; i < 1_000; i++) rememberConnectorSecret(`own-number-${i}.`);
    expect(withoutSecrets('own-secret own-number-0.')).toBe('own-secret ***');
  });
});

describe('references', () => {
  it.each([
    'env:TOKEN',
    'file:/run/secret',
    'aws-secretsmanager:prod/lake',
    'aws-secretsmanager:arn:aws:secretsmanager:eu-west-1:1:secret:x-AbC#key',
  ])('%s is a reference', (value) => expect(isSecretReference(value)).toBe(true));
  it.each([
    '',
    'TOKEN',
    'env:',
    'env:1X',
    'env:A B',
    'file:relative',
    'aws-secretsmanager:',
    'aws-secretsmanager:#key',
    'xenv:TOKEN',
  ])('%j is not a reference', (value) => expect(isSecretReference(value)).toBe(false));

  it('are resolved under any key, but files only under keys that can hold a secret', () => {
    for (const key of ['warehouse', 's3.region', 'token', 'header.X-Any']) {
      expect([key, isReferenceIn(key, 'env:NAME')]).toEqual([key, true]);
      expect([key, isReferenceIn(key, 'aws-secretsmanager:id')]).toEqual([key, true]);
    }
    for (const key of ['warehouse', 'uri', 'ssl.truststore.path', 'storage.allowed-locations', 's3.endpoint']) {
      expect([key, isReferenceIn(key, 'file:/lake')]).toEqual([key, false]);
    }
    for (const key of [
      'token',
      'credential',
      'oauth2-client-secret',
      's3.access-key-id',
      's3.secret-access-key',
      's3.session-token',
      'client.secret-access-key',
      'header.Authorization',
      'Authorization',
      'adls.auth.shared-key.account.key',
      'adls.sas-token.account',
      'adls.connection-string.account',
      'gcs.oauth2.token',
    ]) {
      expect([key, isReferenceIn(key, 'file:/run/secret')]).toEqual([key, true]);
    }
  });
});
