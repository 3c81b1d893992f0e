import { expect, it } from '@jest/globals';
import { sharedKeyAuthorization } from '../../../src/storage/azure/shared-key.ts';

// Sent and signed by @azure/storage-blob 12.32.0.
const [ACCOUNT, KEY] = ['lakeaccount', Buffer.from('the key of lakeaccount').toString('base64')];
const HEADERS = {
  'x-ms-version': '2026-04-06',
  'x-ms-date': 'Mon, 30 Nov 2026 16:32:49 GMT',
  accept: 'application/xml',
};

it.each([
  [
    'GET',
    '/lake/a%20b%2Bc%2520%26%3D%3F%23/%C3%BC%F0%9F%98%80(1)!*%27',
    { 'x-ms-range': 'bytes=2-4', 'x-ms-client-request-id': 'aff33d19-1fa4-4c18-851b-87e5d684e8ea' },
    'ajcx8xiTbacHjwcrrMbZfgOTd4a3JK5puH3C/+3pP8g=',
  ],
  [
    'HEAD',
    '/lake/x',
    { 'x-ms-client-request-id': 'f193d22c-6f1c-4556-a793-7dabb9839dc8' },
    'czsHshE6azPFhaBnmdjzn7pyhqedQw0P3/N9nqieqcI=',
  ],
  [
    'GET',
    '/lake?comp=list&prefix=a%20b%2F%C3%BC&marker=2!92!MDA%2B%2F%3D%3D&restype=container&delimiter=%2F',
    { 'x-ms-client-request-id': '64cf6fff-be06-47ae-b5c8-d94ceb07287f' },
    'H3tbo+IKMvIMqSS+OwriiUCCT+ehLctc21Y36toNRMA=',
  ],
] as const)('signs %s %s as the SDK does', (method, path, headers, signature) => {
  const request = {
    method,
    origin: 'https://lakeaccount.blob.core.windows.net',
    path,
    headers: { ...HEADERS, ...headers },
  };
  expect(sharedKeyAuthorization(request, ACCOUNT, KEY)).toBe(`SharedKey ${ACCOUNT}:${signature}`);
});
