import { createHash } from 'node:crypto';
import { CodedError } from '../../../errors.ts';
import type { DeletionVectorDescriptor } from '../actions.ts';
import { decodeZ85 } from '../columns/z85.ts';

/** Hadoop's other names of the same scheme. */
const SAME_SCHEME: Readonly<Record<string, string>> = { s3a: 's3', s3n: 's3' };
const ABSOLUTE = /^([a-z][a-z0-9+.-]*):\/(.*)$/is;

/**
 * A table's paths (Delta protocol, "Add File and Remove File"): URIs that are percent-decoded once, relative to the table's folder or absolute.
 * One file has one path here, however the log spells it.
 */
export class FilePaths {
  /** With a trailing slash. */
  readonly #root: string;
  /** What an absolute path without scheme and host begins with. */
  readonly #authority: string;

  /** @param location the table's folder: a plain path, a `file:` URI or a URI of an object store, not percent-encoded */
  constructor(location: string) {
    this.#root = `${canonical(location).replace(/\/+$/, '')}/`;
    this.#authority = /^[a-z0-9+.-]+:\/\/[^/]*/i.exec(this.#root)?.[0] ?? '';
  }

  /** The decoded absolute path of a path in the log. */
  absolute(path: string): string {
    const key = this.key(path);
    return isAbsolute(key) ? key : this.#root + key;
  }

  /** Identifies a file within the table: its decoded path, relative to the table's folder if it is in it. */
  key(path: string): string {
    const decoded = decode(path);
    if (!isAbsolute(decoded)) return decoded;
    const absolute = decoded.startsWith('/') ? `${this.#authority}${decoded}` : canonical(decoded);
    return absolute.startsWith(this.#root) ? absolute.slice(this.#root.length) : absolute;
  }

  /**
   * The decoded absolute path of a vector's file; undefined for an inline vector. It is derived as the protocol's "Deletion Vector Descriptor
   * Schema" requires: `deletion_vector_<uuid>.bin`, with the UUID in the last 20 characters and a folder before them.
   *
   * @param dataPath of its data file, for messages
   * @throws CodedError `DATA_LOSS` if the path contains no UUID
   */
  vector({ storageType, pathOrInlineDv }: DeletionVectorDescriptor, dataPath: string): string | undefined {
    if (storageType === 'i') return undefined;
    if (storageType === 'p') return this.absolute(pathOrInlineDv);
    const prefix = pathOrInlineDv.slice(0, -20);
    return `${this.#root}${prefix}${prefix === '' ? '' : '/'}deletion_vector_${uuidOf(pathOrInlineDv.slice(-20), dataPath)}.bin`;
  }
}

/** Identifies a vector among those of one data file. An absent offset differs from 0. */
export function vectorId(vector: DeletionVectorDescriptor | undefined): string {
  if (vector === undefined) return '';
  const { storageType, pathOrInlineDv, offset } = vector;
  return `${storageType}${pathOrInlineDv}${offset === undefined ? '' : `@${offset}`}`;
}

/** The path that stands for an inline vector: two data files may have the same text. */
export function inlineVectorPath(dataPath: string, { pathOrInlineDv }: DeletionVectorDescriptor): string {
  return `${dataPath}#dv=${createHash('sha256').update(pathOrInlineDv).digest('hex').slice(0, 16)}`;
}

const isAbsolute = (path: string) => path.startsWith('/') || (path.includes(':/') && ABSOLUTE.test(path));

/** Local paths become `file:///…`, and other schemes have one name each. */
function canonical(path: string): string {
  if (path.startsWith('/')) return `file:///${path.replace(/^\/+/, '')}`;
  const [, scheme = '', rest = ''] = ABSOLUTE.exec(path) ?? [];
  if (scheme === '') return path;
  const name = scheme.toLowerCase();
  if (name === 'file') return `file:///${rest.replace(/^\/(?:localhost(?=\/))?/i, '').replace(/^\/+/, '')}`;
  return `${SAME_SCHEME[name] ?? name}:/${rest}`;
}

/** Percent-decodes once. Sequences that are no UTF-8 stay as they are. */
function decode(path: string): string {
  if (!path.includes('%')) return path;
  try {
    return decodeURIComponent(path);
  } catch {
    return path.replace(/(?:%[0-9a-f]{2})+/gi, (bytes) => {
      try {
        return decodeURIComponent(bytes);
      } catch {
        return bytes;
      }
    });
  }
}

/** @param text the 20 characters of Z85 that a UUID has */
function uuidOf(text: string, dataPath: string): string {
  const hex = decodeZ85(text)?.toString('hex');
  if (hex?.length !== 32) {
    throw new CodedError(
      'DATA_LOSS',
      `the deletion vector of file ${dataPath} has the path ${JSON.stringify(text)}, which is not a UUID in Z85. ` +
        'Restore the table to a version without it.',
    );
  }
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}
