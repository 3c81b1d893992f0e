import { createHash, createHmac } from 'node:crypto';

export interface SignedRequest {
  method: string;
  /** Path and query as sent, encoded. */
  url: string;
  headers: Readonly<Record<string, string | string[] | undefined>>;
}

export interface Signer {
  accessKeyId: string;
  region: string;
  service: string;
}

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');
const hmac = (key: string | Buffer, text: string) => createHmac('sha256', key).update(text).digest();

/** The signer that the request's own header names. */
export function signerOf({ headers }: SignedRequest): Signer | undefined {
  const match = /Credential=([^/]+)\/\d{8}\/([^/]+)\/([^/]+)\/aws4_request/.exec(String(headers.authorization ?? ''));
  return match === null ? undefined : { accessKeyId: match[1]!, region: match[2]!, service: match[3]! };
}

/**
 * Whether the request was signed with the secret. Written from AWS's description of Signature Version 4 for S3 ('Authenticating Requests:
 * Using the Authorization Header'), without code of the SDK.
 */
export function isSignedWith(secret: string, { method, url, headers }: SignedRequest): boolean {
  const authorization = String(headers.authorization);
  const [, date = '', region = '', service = ''] =
    /Credential=[^/]+\/(\d{8})\/([^/]+)\/([^/]+)\/aws4_request/.exec(authorization) ?? [];
  const signed = (/SignedHeaders=([^,]+)/.exec(authorization)?.[1] ?? '').split(';');
  const signature = /Signature=([0-9a-f]{64})/.exec(authorization)?.[1];
  const [path = '', query = ''] = url.split('?');
  const parameters = query
    .split('&')
    .filter((parameter) => parameter !== '')
    .map((parameter) => (parameter.includes('=') ? parameter : `${parameter}=`))
    .sort();
  const canonical = [
    method,
    path,
    parameters.join('&'),
    ...signed.map((name) => `${name}:${String(headers[name] ?? '').trim()}`),
    '',
    signed.join(';'),
    String(headers['x-amz-content-sha256']),
  ].join('\n');
  const scope = `${date}/${region}/${service}/aws4_request`;
  const toSign = ['AWS4-HMAC-SHA256', String(headers['x-amz-date']), scope, sha256(canonical)].join('\n');
  const key = hmac(hmac(hmac(hmac(`AWS4${secret}`, date), region), service), 'aws4_request');
  return signed.includes('host') && hmac(key, toSign).toString('hex') === signature;
}
