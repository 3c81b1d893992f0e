import { describe, expect, it } from '@jest/globals';
import { azureEndpoint, namedEndpoint } from '../../../src/storage/azure/azure-endpoint.ts';
import { azurePath } from '../../../src/storage/azure/azure-path.ts';
import { parseConnectionString } from '../../../src/storage/azure/connection-string.ts';
import { parsePage } from '../../../src/storage/azure/list-page.ts';

const HOST = 'acct.dfs.core.windows.net';

describe('a path', () => {
  it.each([
    [`abfss://lake@${HOST}/a b/%20?#`, 'lake', 'a b/%20?#'],
    [`abfs://lake@${HOST}`, 'lake', ''],
    ['wasbs://lake@ACCT.blob.core.windows.net//x', 'lake', '/x'],
    [`abfss://$web@${HOST}/x`, '$web', 'x'],
  ])('%s', (path, bucket, key) => expect(azurePath(path, {})).toEqual({ account: HOST, bucket, key }));

  it.each([
    [{ 'adls.account-name': 'acct' }, HOST],
    [{ 'adls.auth.shared-key.account.name': 'acct' }, HOST],
    [{ 'adls.connection-string': 'AccountName=acct;AccountKey=k' }, HOST],
    [
      { 'adls.account-name': 'onelake', 'adls.account-host': 'onelake.blob.fabric.microsoft.com' },
      'onelake.dfs.fabric.microsoft.com',
    ],
  ])('without an account is in that of %j', (properties, account) => {
    expect(azurePath('abfss://lake/x', properties as unknown as Record<string, string>)).toEqual({
      account,
      bucket: 'lake',
      key: 'x',
    });
  });

  it.each([
    'abfss://lake/x',
    `abfss://@${HOST}/x`,
    'abfss://lake@/x',
    'abfss://lake@host/../x'.replace('/..', '%2f'),
    'abfss://la/ke',
    'abfss://lake@evil.example\\@x/y',
  ])('needs a container and an account: %s', (path) => {
    expect(() => azurePath(path, {})).toThrow(
      expect.objectContaining({
        code: 'INVALID_ARGUMENT',
        message: expect.stringContaining('abfss://container@account.dfs.core.windows.net'),
      }),
    );
  });
});

describe('an endpoint', () => {
  it.each([
    [HOST, 'https://acct.blob.core.windows.net'],
    ['acct.z12.dfs.storage.azure.net', 'https://acct.z12.blob.storage.azure.net'],
    ['acct.dfs.core.chinacloudapi.cn', 'https://acct.blob.core.chinacloudapi.cn'],
    ['acct.dfs.core.usgovcloudapi.net', 'https://acct.blob.core.usgovcloudapi.net'],
    ['onelake.dfs.fabric.microsoft.com', 'https://onelake.blob.fabric.microsoft.com'],
    ['acct.privatelink.dfs.core.windows.net', 'https://acct.privatelink.blob.core.windows.net'],
  ])('of Azure: %s', (host, endpoint) => expect(azureEndpoint(host)).toBe(endpoint));

  it.each([
    'evil.example',
    'dfs.core.windows.net.evil.example',
    'acct.dfs.core.windows.net.evil.example',
    '127.0.0.1:1',
    'a.dfs.core.windows.net:8080',
  ])('is not taken from a path: %s', (host) => {
    expect(() => azureEndpoint(host)).toThrow(
      expect.objectContaining({
        code: 'FAILED_PRECONDITION',
        message: expect.stringContaining(`adls.connection-string.${host}`),
      }),
    );
  });

  it.each([
    [{ [`adls.connection-string.${HOST}`]: 'http://127.0.0.1:10000/acct/' }, 'http://127.0.0.1:10000/acct'],
    [{ 'adls.connection-string.acct': 'https://acct.dfs.example.com' }, 'https://acct.blob.example.com'],
    [
      { 'adls.connection-string': 'AccountName=acct;AccountKey=k;EndpointSuffix=core.chinacloudapi.cn' },
      'https://acct.blob.core.chinacloudapi.cn',
    ],
    [
      { 'adls.blob-storage-authority': '127.0.0.1:10000', 'adls.blob-storage-scheme': 'http' },
      'http://127.0.0.1:10000/acct',
    ],
    [{ 'adls.blob-storage-authority': '.blob.example.com' }, 'https://acct.blob.example.com'],
    [{ 'adls.account-host': 'acct.blob.example.com' }, 'https://acct.blob.example.com'],
    [{ 'adls.account-host': 'x.blob.example.com', 'adls.account-name': 'x' }, undefined],
    [{}, undefined],
  ])('of properties: %j', (properties, endpoint) => {
    expect(namedEndpoint(properties as unknown as Record<string, string>, HOST)).toBe(endpoint);
  });

  it('must be a URL', () => {
    expect(() => namedEndpoint({ 'adls.connection-string': 'AccountName=a;BlobEndpoint=ftp://x' }, HOST)).toThrow(
      /not the http\(s\) URL/,
    );
  });
});

it('a connection string has an account, a key or a SAS token, and an endpoint', () => {
  const key = 'Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==';
  expect(
    parseConnectionString(
      `DefaultEndpointsProtocol=http;AccountName=acct;AccountKey=${key};BlobEndpoint=http://127.0.0.1:1/acct;`,
    ),
  ).toEqual({
    account: 'acct',
    key,
    endpoint: 'http://127.0.0.1:1/acct',
  });
  expect(
    parseConnectionString('SharedAccessSignature=sv=1&sig=a%3D; BlobEndpoint=https://acct.blob.core.windows.net'),
  ).toEqual({
    sas: 'sv=1&sig=a%3D',
    endpoint: 'https://acct.blob.core.windows.net',
  });
  expect(parseConnectionString('')).toEqual({});
});

describe('a page of a list', () => {
  // After https://learn.microsoft.com/rest/api/storageservices/list-blobs
  const page = (blobs: string, next = '') =>
    `<?xml version="1.0" encoding="utf-8"?><EnumerationResults ServiceEndpoint="https://acct.blob.core.windows.net/" ContainerName="lake"><Prefix>p/</Prefix><Blobs>${blobs}</Blobs><NextMarker>${next}</NextMarker></EnumerationResults>`;
  const blob = (name: string, size = 0, more = '') =>
    `<Blob><Name>${name}</Name><Properties><Last-Modified>Mon, 30 Nov 2026 10:00:00 GMT</Last-Modified><Etag>"0x8D"</Etag><Content-Length>${size}</Content-Length>${more}</Properties></Blob>`;
  const names = (xml: string) => parsePage(xml, 'p/').entries.map(({ name, folder }) => (folder ? `${name}/` : name));

  it('has names with any characters', () => {
    expect(
      names(
        page(`${blob('p/a &amp; &lt;b&gt; ')}<Blob><Name Encoded="true">p%2F%01%EF%BF%BF</Name><Properties /></Blob>`),
      ),
    ).toEqual(['a & <b> ', '\u0001\uffff']);
  });

  it('has a folder once, whether it is a prefix, a directory or marked by an empty blob', () => {
    const directory = '<ResourceType>directory</ResourceType>';
    expect(
      names(page(`<BlobPrefix><Name>p/x/</Name></BlobPrefix>${blob('p/x')}${blob('p/y')}${blob('p/', 0)}`)),
    ).toEqual(['x/', 'y']);
    expect(names(page(blob('p/d', 0, directory)))).toEqual(['d/']);
  });

  it('exists if it has the folder itself', () => {
    expect(parsePage(page(blob('p/')), 'p/')).toEqual({ entries: [], exists: true });
    expect(parsePage(page(''), 'p/')).toEqual({ entries: [], exists: false });
    expect(parsePage(page('', '2!92!MDA'), 'p/')).toEqual({ entries: [], exists: false, next: '2!92!MDA' });
  });

  it.each(['', 'text', '<a/>', '<EnumerationResults><Blobs>', '<EnumerationResults>&x;</EnumerationResults>'])(
    'is not %j',
    (xml) => {
      expect(() => parsePage(xml, '')).toThrow(expect.objectContaining({ code: 'FAILED_PRECONDITION' }));
    },
  );
});
