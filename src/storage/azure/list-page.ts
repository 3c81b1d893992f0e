import sax from 'sax';
import { CodedError } from '../../errors.ts';
import type { ListedPage } from '../cloud/cloud-service.ts';
import type { FolderEntry, ObjectStat } from '../object-store.ts';

/**
 * Parses a page of List Blobs. https://learn.microsoft.com/rest/api/storageservices/list-blobs
 *
 * Hadoop's old driver (WASB) marks a folder with an empty blob of its name; beside the folder itself, it is left out.
 *
 * @param prefix the beginning of all names
 * @throws CodedError `FAILED_PRECONDITION` for a response that is no such page
 */
export function parsePage(xml: string, prefix: string): ListedPage {
  const entries: FolderEntry[] = [];
  let exists = false;
  let next: string | undefined;
  let isPage = false;
  const path: string[] = [];
  let text = '';
  let isEncoded = false;
  let fields = new Map<string, string>();
  const parser = sax.parser(true);
  parser.onopentag = ({ name, attributes }) => {
    path.push(name);
    text = '';
    if (name === 'Blob' || name === 'BlobPrefix') fields = new Map();
    if (name === 'Name') isEncoded = attributes.Encoded === 'true';
  };
  parser.ontext = (part) => {
    text += part;
  };
  parser.oncdata = parser.ontext;
  parser.onclosetag = (name) => {
    path.pop();
    if (name === 'EnumerationResults') isPage = true;
    const parent = path.at(-1);
    // XML cannot contain every character that a name can have.
    if (name === 'Name') fields.set(name, isEncoded ? decodeURIComponent(text) : text);
    else if (parent === 'Properties') fields.set(name, text);
    else if (name === 'NextMarker' && text !== '') next = text;
    if (name === 'Blob' || name === 'BlobPrefix') {
      exists = true;
      const folder = name === 'BlobPrefix' || fields.get('ResourceType') === 'directory';
      const below = (fields.get('Name') ?? '').slice(prefix.length).replace(/\/$/, '');
      if (below !== '') entries.push({ name: below, folder, ...(!folder && { stat: statIn(fields) }) });
    }
    text = '';
  };
  try {
    parser.write(xml).close();
  } catch (error) {
    throw new CodedError('FAILED_PRECONDITION', 'the storage returned something other than a list of blobs', {
      cause: error,
    });
  }
  if (!isPage) throw new CodedError('FAILED_PRECONDITION', 'the storage returned XML other than a list of blobs');
  const folders = new Set(entries.filter(({ folder }) => folder).map(({ name }) => name));
  const isMarker = ({ name, folder, stat }: FolderEntry) => !folder && stat?.size === 0 && folders.has(name);
  return { entries: entries.filter((entry) => !isMarker(entry)), exists, ...(next !== undefined && { next }) };
}

function statIn(fields: ReadonlyMap<string, string>): ObjectStat {
  return blobStat(fields.get('Content-Length'), fields.get('Last-Modified'), fields.get('Etag'));
}

/** The ETag is without quotes, which only headers have. */
export function blobStat(size: string | undefined, modified: string | undefined, etag: string | undefined): ObjectStat {
  return {
    size: Number(size ?? 0),
    modifiedMs: Date.parse(modified ?? '') || 0,
    ...(etag && { etag: etag.replace(/^"(.*)"$/, '$1') }),
  };
}
