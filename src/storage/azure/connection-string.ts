/** What a connection string of a storage account contains. */
export interface ConnectionString {
  account?: string;
  key?: string;
  sas?: string;
  /** The URL of the account's Blob service, without a slash at its end. */
  endpoint?: string;
}

/**
 * Parses a connection string (`AccountName=…;AccountKey=…;BlobEndpoint=…`), or the URL of an account, which Iceberg Java expects under the same
 * property. https://learn.microsoft.com/azure/storage/common/storage-configure-connection-string
 */
export function parseConnectionString(text: string): ConnectionString {
  if (/^https?:\/\//i.test(text)) {
    const [url = '', sas] = text.split('?', 2);
    return { endpoint: blobEndpoint(url), ...(sas && { sas }) };
  }
  const fields = new Map<string, string>();
  for (const part of text.split(';')) {
    const [, name, value] = /^\s*([^=]+)=(.*)$/s.exec(part) ?? [];
    if (name !== undefined && value) fields.set(name.trim().toLowerCase(), value.trim());
  }
  const account = fields.get('accountname');
  const suffix = fields.get('endpointsuffix') ?? 'core.windows.net';
  const protocol = fields.get('defaultendpointsprotocol') ?? 'https';
  const derived = account === undefined ? undefined : `${protocol}://${account}.blob.${suffix}`;
  const endpoint = fields.get('blobendpoint') ?? derived;
  const sas = fields.get('sharedaccesssignature');
  const key = fields.get('accountkey');
  return {
    ...(account && { account }),
    ...(key && { key }),
    ...(sas && { sas }),
    ...(endpoint && { endpoint: blobEndpoint(endpoint) }),
  };
}

/** The part of a connection string that is not a credential: the text itself if it has none, undefined if nothing is left. */
export function endpointOnly(text: string): string | undefined {
  const { key, sas, endpoint } = parseConnectionString(text);
  return key === undefined && sas === undefined ? text : endpoint;
}

/** The same account has a Blob and a DFS endpoint. */
function blobEndpoint(url: string): string {
  return url.replace(/\/+$/, '').replace(/^(https?:\/\/[^/]*?)\.dfs\./i, '$1.blob.');
}
