import { CodedError } from '../../errors.ts';

export interface S3Path {
  bucket: string;
  /** Unchanged from the path, without decoding. Empty for the bucket itself. */
  key: string;
}

/**
 * Bucket and key of `s3://bucket/key`; the schemes `s3a:` and `s3n:` are also accepted. Iceberg's writers store keys unencoded, so `%20`,
 * `+`, `?` and `#` are parts of the key.
 *
 * @throws CodedError `INVALID_ARGUMENT` if the bucket is missing
 */
export function s3Path(path: string): S3Path {
  const [, bucket = '', key = ''] = /^s3[an]?:\/\/([^/]*)\/?(.*)$/is.exec(path) ?? [];
  if (bucket === '') throw new CodedError('INVALID_ARGUMENT', `${path} names no bucket: write s3://bucket/key`);
  return { bucket, key };
}
