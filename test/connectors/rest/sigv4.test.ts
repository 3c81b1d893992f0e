import { describe, expect, it } from '@jest/globals';
import { bearer } from '../../../src/connectors/rest/auth/authenticator.ts';
import { sigV4 } from '../../../src/connectors/rest/auth/sigv4.ts';
import { type Expected, type SignedRequest, sigV4Fault } from './sigv4-verifier.ts';

const KEYS = { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY' };

/**
 * The first two are from the AWS Signature Version 4 test suite (get-vanilla-query-order-key-case, get-header-key-duplicate); botocore
 * 1.44.5 (`SigV4Auth`) has signed the others.
 */
const VECTORS: [name: string, SignedRequest, Expected][] = [
  [
    'query parameters in another order',
    {
      method: 'GET',
      path: '/?Param2=value2&Param1=value1',
      headers: {
        host: 'example.amazonaws.com',
        'x-amz-date': '20150830T123600Z',
        authorization:
          'AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders=host;x-amz-date, ' +
          'Signature=b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500',
      },
      body: '',
    },
    { ...KEYS, region: 'us-east-1', service: 'service' },
  ],
  [
    'a header with several values',
    {
      method: 'GET',
      path: '/',
      headers: {
        host: 'example.amazonaws.com',
        'my-header1': 'value2,value2,value1',
        'x-amz-date': '20150830T123600Z',
        authorization:
          'AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, ' +
          'SignedHeaders=host;my-header1;x-amz-date, Signature=c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea',
      },
      body: '',
    },
    { ...KEYS, region: 'us-east-1', service: 'service' },
  ],
  [
    'an encoded path and query, with a session token',
    {
      method: 'GET',
      path:
        '/iceberg/v1/arn%3Aaws%3As3tables%3Aeu-west-1%3A123456789012%3Abucket%2Flake/namespaces/a%1Fb/tables/o%20d%2Fd%C3%A9' +
        '?snapshots=all&parent=a%1Fb',
      headers: {
        host: 's3tables.eu-west-1.amazonaws.com',
        'x-iceberg-access-delegation': 'vended-credentials',
        'original-authorization': 'Bearer abc',
        'x-amz-date': '20261123T120000Z',
        'x-amz-security-token': 'a-session-token',
        authorization:
          'AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261123/eu-west-1/s3tables/aws4_request, SignedHeaders=host;' +
          'original-authorization;x-amz-date;x-amz-security-token;x-iceberg-access-delegation, ' +
          'Signature=cfadd80dff31a7844d7af8ef30debd2c5e5e70daf951b8a4d9aef331bc7479a6',
      },
      body: '',
    },
    { ...KEYS, sessionToken: 'a-session-token', region: 'eu-west-1', service: 's3tables' },
  ],
  [
    'a form',
    {
      method: 'POST',
      path: '/v1/oauth/tokens',
      headers: {
        host: '127.0.0.1:8181',
        'content-type': 'application/x-www-form-urlencoded',
        'x-amz-date': '20261123T120000Z',
        authorization:
          'AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261123/us-west-2/execute-api/aws4_request, ' +
          'SignedHeaders=content-type;host;x-amz-date, Signature=0343f305af867d82d32c061aeb067cef20426a4c0da77c3e810d1725499ac4f8',
      },
      body: 'grant_type=client_credentials&scope=catalog',
    },
    { ...KEYS, region: 'us-west-2', service: 'execute-api' },
  ],
];

describe("the tests' verifier", () => {
  it.each(VECTORS)('accepts %s', (_, request, expected) => expect(sigV4Fault(request, expected)).toBeUndefined());

  it.each([
    ['another path', { path: '/iceberg/v1' }, {}],
    ['another method', { method: 'PUT' }, {}],
    ['another body', { body: 'x' }, {}],
    ['another key', {}, { secretAccessKey: 'another' }],
    ['another service', {}, { service: 'glue' }],
    ['no session token', {}, { sessionToken: undefined }],
  ])('refuses %s', (_, request, expected) => {
    const [, signed, valid] = VECTORS[2] as (typeof VECTORS)[number];
    expect(sigV4Fault({ ...signed, ...request }, { ...valid, ...expected })).toEqual(expect.any(String));
  });

  it('refuses an old signature', () => {
    const [, signed, valid] = VECTORS[2] as (typeof VECTORS)[number];
    expect(sigV4Fault(signed, valid, new Date('2026-11-23T12:10:00Z'))).toMatch(/time/);
  });
});

describe('signed requests', () => {
  const expected = { ...KEYS, sessionToken: 'a-session', region: 'eu-west-1', service: 'glue' };
  const signer = (delegate?: Parameters<typeof sigV4>[0]['delegate']) =>
    sigV4({
      service: 'glue',
      region: 'eu-west-1',
      credentials: async () => ({ ...KEYS, sessionToken: 'a-session' }),
      delegate,
    });

  it.each([
    ['http://127.0.0.1:8181/v1/config'],
    ['https://glue.eu-west-1.amazonaws.com/iceberg/v1/config?warehouse=a%3Ab%2Fc%20d'],
    ['https://h.example/v1/p%2Fq/namespaces/a%1Fb/tables/o%27%28d%29%2A%21%2E%C3%A9%25?snapshots=all'],
    ['https://h.example/v1/namespaces?pageToken=&pageSize=500&parent=x%2By%26z'],
  ])('for %s are valid', async (url) => {
    const signed = await signer().authenticate({
      method: 'GET',
      url,
      headers: { accept: 'application/json', 'x-iceberg-access-delegation': 'vended-credentials' },
    });
    expect(signed.url).toBe(url);
    const path = url.replace(/^https?:\/\/[^/]+/, '');
    expect(signed.headers.host).toBe(new URL(url).host);
    expect(
      sigV4Fault({ method: 'GET', path, headers: signed.headers, body: '' }, expected, new Date()),
    ).toBeUndefined();
  });

  it("keep a bearer token in Iceberg's own header, which is signed", async () => {
    const url = 'https://h.example/v1/config';
    const signed = await signer(bearer('t')).authenticate({ method: 'GET', url, headers: {} });
    expect(signed.headers['original-authorization']).toBe('Bearer t');
    const request = { method: 'GET', path: '/v1/config', headers: signed.headers, body: '' };
    expect(sigV4Fault(request, expected, new Date())).toBeUndefined();
  });

  it('require credentials', async () => {
    const withoutCredentials = sigV4({
      service: 'glue',
      region: 'eu-west-1',
      credentials: () => Promise.reject(new Error('Could not load credentials from any providers')),
    });
    await expect(
      withoutCredentials.authenticate({ method: 'GET', url: 'https://h.example/v1/config', headers: {} }),
    ).rejects.toMatchObject({
      code: 'UNAUTHENTICATED',
      message: expect.stringContaining('Could not load credentials'),
    });
  });
});
