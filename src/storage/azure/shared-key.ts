import { createHmac } from 'node:crypto';
import type { HttpRequest } from '../http/send-request.ts';

/** The headers of a request that are signed by their values alone, in this order. */
const SIGNED_HEADERS = [
  'content-encoding',
  'content-language',
  'content-length',
  'content-md5',
  'content-type',
  'date',
  'if-modified-since',
  'if-match',
  'if-none-match',
  'if-unmodified-since',
  'range',
];

/**
 * The value of `Authorization` for the Blob service, for a request without a body.
 * https://learn.microsoft.com/rest/api/storageservices/authorize-with-shared-key
 *
 * @param key in Base64
 */
export function sharedKeyAuthorization({ method, path, headers }: HttpRequest, account: string, key: string): string {
  const [resource = '', query = ''] = path.split('?', 2);
  const microsoft = Object.entries(headers)
    .filter(([name]) => name.startsWith('x-ms-'))
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => `${name}:${value}\n`);
  const parameters = [...new URLSearchParams(query)]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => `\n${name.toLowerCase()}:${value}`);
  const text = [
    method,
    ...SIGNED_HEADERS.map((name) => headers[name] ?? ''),
    `${microsoft.join('')}/${account}${resource}${parameters.join('')}`,
  ].join('\n');
  const signature = createHmac('sha256', Buffer.from(key, 'base64')).update(text, 'utf8').digest('base64');
  return `SharedKey ${account}:${signature}`;
}
