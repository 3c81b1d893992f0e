import { createHash, createHmac, timingSafeEqual } from 'node:crypto';

/** A request as received. Header names are in lower case. */
export interface SignedRequest {
  method: string;
  /** Path and query, as sent. */
  path: string;
  headers: Readonly<Record<string, string | string[] | undefined>>;
  body: string;
}

export interface Expected {
  accessKeyId: string;
  secretAccessKey: string;
  sessionToken?: string;
  region: string;
  service: string;
}

/** Headers that must be signed if they are sent. */
const MUST_BE_SIGNED = /^(host|content-type|original-authorization|x-amz-.*|x-iceberg-.*)$/;

/**
 * Verifies a request as in the AWS documentation ("Create a signed AWS API request": canonical request, string to sign, signing key).
 * Written for the tests from that text, not from a signer's code.
 *
 * @returns what is wrong; undefined if the signature is valid
 */
export function sigV4Fault(request: SignedRequest, expected: Expected, now?: Date): string | undefined {
  const header = (name: string) => [request.headers[name] ?? []].flat().join(',');
  const form =
    /^AWS4-HMAC-SHA256 Credential=([^/]+)\/(\d{8})\/([^/]+)\/([^/]+)\/aws4_request, SignedHeaders=([a-z0-9;-]+), Signature=([0-9a-f]{64})$/;
  const parts = form.exec(header('authorization'));
  if (!parts) return `the authorization is ${JSON.stringify(header('authorization').slice(0, 30))}`;
  const [, keyId, day, region, service, names = '', signature = ''] = parts;
  if (keyId !== expected.accessKeyId) return `the access key is ${keyId}`;
  if (region !== expected.region || service !== expected.service) return `the scope is ${region}/${service}`;
  const time = header('x-amz-date');
  if (!/^\d{8}T\d{6}Z$/.test(time) || !time.startsWith(day as string)) return `the time is ${time}`;
  const at = Date.parse(time.replace(/^(....)(..)(..)T(..)(..)(..)Z$/, '$1-$2-$3T$4:$5:$6Z'));
  if (now && Math.abs(now.getTime() - at) > 5 * 60_000) return `the time is ${time}`;
  if (header('x-amz-security-token') !== (expected.sessionToken ?? '')) return 'the session token differs';
  const payload = sha256(request.body);
  if (request.headers['x-amz-content-sha256'] && header('x-amz-content-sha256') !== payload) return 'the body differs';

  const signed = names.split(';');
  if (signed.join(';') !== [...signed].sort().join(';')) return 'the signed headers are not sorted';
  const unsigned = Object.keys(request.headers).filter((name) => MUST_BE_SIGNED.test(name) && !signed.includes(name));
  if (unsigned.length > 0) return `not signed: ${unsigned}`;

  const [path = '', query = ''] = request.path.split(/\?(.*)/s);
  const canonical = [
    request.method,
    // Each segment is encoded once more than in the request, as for all services but S3.
    path.split('/').map(encode).join('/') || '/',
    query
      .split('&')
      .filter((pair) => pair !== '')
      .map((pair) => {
        const [name = '', value = ''] = pair.split(/=(.*)/s);
        return `${encode(decodeURIComponent(name))}=${encode(decodeURIComponent(value))}`;
      })
      .sort()
      .join('&'),
    ...signed.map((name) => `${name}:${header(name).trim().replace(/ +/g, ' ')}`),
    '',
    names,
    payload,
  ].join('\n');
  const scope = `${day}/${region}/${service}/aws4_request`;
  const toSign = ['AWS4-HMAC-SHA256', time, scope, sha256(canonical)].join('\n');
  let key: Buffer = Buffer.from(`AWS4${expected.secretAccessKey}`);
  for (const part of [day, region, service, 'aws4_request']) key = hmac(key, part as string);
  return timingSafeEqual(hmac(key, toSign), Buffer.from(signature, 'hex'))
    ? undefined
    : `the signature is wrong for\n${canonical}`;
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

function hmac(key: Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest();
}

function encode(text: string): string {
  return encodeURIComponent(text).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);
}
