import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { join } from 'node:path';
import { failure, object, type Seen } from '../../storage/fake-s3.ts';

/** Answers like S3 with a bucket whose objects are the files of a folder. */
export function s3Folder(bucket: string, folder: string): (request: Seen, response: ServerResponse) => void {
  return ({ path, query, headers }, response) => {
    const [, name, ...key] = decodeURIComponent(path).split('/');
    if (name !== bucket) return failure(response, 404, 'NoSuchBucket', 'The specified bucket does not exist');
    if (query.get('list-type') === '2') return list(response, folder, query);
    const file = join(folder, key.join('/'));
    if (!existsSync(file)) return failure(response, 404, 'NoSuchKey', 'The specified key does not exist.');
    object(response, readFileSync(file), headers.range as string | undefined);
  };
}

function list(response: ServerResponse, folder: string, query: URLSearchParams): void {
  const prefix = query.get('prefix') ?? '';
  const after = query.get('start-after') ?? '';
  const path = join(folder, prefix);
  const names = existsSync(path) ? readdirSync(path).sort() : [];
  const entries = names.map((name) => {
    const { size } = statSync(join(path, name));
    const isFolder = statSync(join(path, name)).isDirectory();
    const key = `${prefix}${name}${isFolder ? '/' : ''}`;
    if (key <= after) return '';
    return isFolder
      ? `<CommonPrefixes><Prefix>${key}</Prefix></CommonPrefixes>`
      : `<Contents><Key>${key}</Key><Size>${size}</Size><LastModified>2024-01-01T00:00:00.000Z</LastModified><ETag>"e"</ETag></Contents>`;
  });
  const xml = `<?xml version="1.0"?><ListBucketResult><IsTruncated>false</IsTruncated>${entries.join('')}</ListBucketResult>`;
  response.writeHead(200, { 'content-type': 'application/xml' }).end(xml);
}
